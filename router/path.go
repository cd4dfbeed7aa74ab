package router

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"

	"github.com/dockerlb/dockerlb/topology"
)

// pathIndex finds the first route of a virtual host that matches, as trying
// them in order would: a radix tree over the texts of all exact and prefix
// paths, in which the nodes on the way of a request's path hold the routes
// that may match it.
type pathIndex struct {
	nodes []node // 0 is the root; the children of a node are neighbours
	// more are the candidates of nodes that have several, by node and order.
	more  []candidate
	edges string // of all nodes
	// others are routes whose path no tree can find, by order: regular
	// expressions, and comparisons without regard to case.
	others []int
}

// node stands for a text: the edges from the root to it. It fills a cache line,
// and mostly a step down the tree reads no more than that.
type node struct {
	heads         byteSet // the first byte of each child's edge
	child         uint32  // in nodes: the first child; they are in the order of heads
	edge, edgeLen uint32  // in edges
	more, moreEnd uint32  // in more
	first         candidate
}

// candidate is a route whose path has a node's text.
type candidate struct {
	route int32 // noRoute: none
	kind  topology.PathKind
	plain bool // the path is the only condition
}

const noRoute = int32(1<<31 - 1) // after all routes

// byteSet is a set of bytes that can tell a member's rank.
type byteSet [4]uint64

func (s *byteSet) add(c byte) { s[c>>6] |= 1 << (c & 63) }

// rank is how many members are less than c, and whether c is one.
func (s *byteSet) rank(c byte) (n int, in bool) {
	word, bit := int(c>>6), uint64(1)<<(c&63)
	if s[word]&bit == 0 {
		return 0, false
	}
	for i := range word {
		n += bits.OnesCount64(s[i])
	}
	return n + bits.OnesCount64(s[word]&(bit-1)), true
}

// newPathIndex indexes the routes first to end-1.
func newPathIndex(matchers []matcher, first, end int) *pathIndex {
	x := &pathIndex{}
	var entries []entry
	for i := first; i < end; i++ {
		m := &matchers[i]
		if m.path.kind == topology.PathRegex || m.path.fold {
			x.others = append(x.others, i)
			continue
		}
		entries = append(entries, entry{m.path.text, candidate{int32(i), m.path.kind, m.plain()}})
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(strings.Compare(a.text, b.text), cmp.Compare(a.route, b.route))
	})
	x.build(entries)
	return x
}

// entry is a route on its way into the tree.
type entry struct {
	text string
	candidate
}

// build makes the tree of entries that are sorted by text, level by level.
func (x *pathIndex) build(entries []entry) {
	// todo are the entries below each node that is made but not yet filled,
	// and how much of their text leads to it.
	type work struct {
		entries []entry
		depth   int
	}
	var edges strings.Builder
	x.nodes = append(x.nodes, node{})
	todo := []work{{entries, 0}}
	for i := 0; i < len(todo); i++ {
		es, depth := todo[i].entries, todo[i].depth
		n := node{edge: x.nodes[i].edge, edgeLen: x.nodes[i].edgeLen, child: uint32(len(x.nodes)), first: candidate{route: noRoute}}
		if len(es) > 0 && len(es[0].text) == depth {
			n.first = es[0].candidate
			es = es[1:]
		}
		n.more = uint32(len(x.more))
		for len(es) > 0 && len(es[0].text) == depth {
			x.more = append(x.more, es[0].candidate)
			es = es[1:]
		}
		n.moreEnd = uint32(len(x.more))

		for len(es) > 0 {
			head := es[0].text[depth]
			same := 1
			for same < len(es) && es[same].text[depth] == head {
				same++
			}
			to := commonPrefix(es[0].text, es[same-1].text)
			n.heads.add(head)
			x.nodes = append(x.nodes, node{edge: uint32(edges.Len()), edgeLen: uint32(to - depth)})
			edges.WriteString(es[0].text[depth:to])
			todo = append(todo, work{es[:same], to})
			es = es[same:]
		}
		x.nodes[i] = n
	}
	x.edges = edges.String()
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// first is the first route that matches, or none.
func (x *pathIndex) first(q Request, path string, matchers []matcher) int {
	best := noRoute
	n, at := &x.nodes[0], 0
	for {
		if n.first.route < best {
			best = n.first.better(best, q, path, at, matchers)
		}
		for i := n.more; i < n.moreEnd && x.more[i].route < best; i++ {
			best = x.more[i].better(best, q, path, at, matchers)
		}
		if at == len(path) {
			break
		}
		rank, ok := n.heads.rank(path[at])
		if !ok {
			break
		}
		n = &x.nodes[n.child+uint32(rank)]
		at++ // heads has compared the first byte
		if n.edgeLen > 1 {
			edge := x.edges[n.edge+1 : n.edge+n.edgeLen]
			if !strings.HasPrefix(path[at:], edge) {
				break
			}
			at += len(edge)
		}
	}
	for _, i := range x.others {
		if i >= int(best) {
			break
		}
		if matchers[i].matches(q, path) {
			return i
		}
	}
	if best == noRoute {
		return none
	}
	return int(best)
}

// better is the candidate's route where it matches, else best. The first n
// bytes of path are the candidate's text.
func (c *candidate) better(best int32, q Request, path string, n int, matchers []matcher) int32 {
	if c.at(path, n) && (c.plain || matchers[c.route].rest(q)) {
		return c.route
	}
	return best
}

// at holds where the candidate's path matches path, given that path's first n
// bytes are the candidate's text.
func (c *candidate) at(path string, n int) bool {
	switch c.kind {
	case topology.PathExact:
		return n == len(path)
	case topology.PathSegmentPrefix:
		return onBorder(path, n)
	default:
		return true
	}
}

// onBorder holds where a segment of path ends, or begins, at n.
func onBorder(path string, n int) bool {
	return n == len(path) || n == 0 || path[n] == '/' || path[n-1] == '/'
}
