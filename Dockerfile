# Two ways to the same images.
#
#   make images                        the binaries are built on the host (dist/) and
#                                      copied into empty images: targets lb and daemon.
#                                      Nothing is pulled.
#   docker build -t dockerlb .         everything is built here, for people without Go:
#   docker build -t nt --target daemon-from-source .
#                                      pulls the golang image.
#
# The order of the stages matters: the classic builder runs every stage before
# its target, so those that need nothing from a registry stand first. The last
# one is what a plain "docker build ." makes.

FROM scratch AS lb-base
LABEL org.opencontainers.image.title="dockerlb" \
      org.opencontainers.image.description="A load balancer that configures itself from Docker labels" \
      org.opencontainers.image.source="https://github.com/dockerlb/dockerlb" \
      org.opencontainers.image.licenses="Apache-2.0"
# Nobody in particular. To read the engine's socket it needs the socket's group:
# group_add in docker-compose.yml, --group-add on the command line.
USER 65532:65532
EXPOSE 10000 9901
HEALTHCHECK --interval=5s --timeout=2s --retries=3 CMD ["/lb", "healthcheck"]
ENTRYPOINT ["/lb"]
CMD ["run"]

FROM lb-base AS lb
COPY dist/lb /lb

FROM scratch AS daemon-base
LABEL org.opencontainers.image.title="nt" \
      org.opencontainers.image.description="dockerlb's example backend: it answers with its own id" \
      org.opencontainers.image.source="https://github.com/dockerlb/dockerlb" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/daemon"]

FROM daemon-base AS daemon
COPY dist/daemon /daemon

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/ ./cmd/lb ./cmd/daemon

FROM daemon-base AS daemon-from-source
COPY --from=build /out/daemon /daemon

FROM lb-base AS lb-from-source
COPY --from=build /out/lb /lb
