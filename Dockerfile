# One image with both services; the command says which one runs.
#
#   docker build -t larder .
#   docker run --rm larder authserver --help

FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY internal/oryx internal/oryx
RUN go mod download
COPY . .
# Static, without paths of the build machine, so that the same source gives the same program.
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/usr/local/bin/ ./authserver ./resourceapi \
 && mkdir -p /out/etc/ssl/certs /out/tmp /out/var/lib/larder \
 && cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ \
 && cp -r /usr/local/go/lib/time /out/ \
 && echo 'larder:x:65532:65532::/var/lib/larder:/sbin/nologin' > /out/etc/passwd \
 && echo 'larder:x:65532:' > /out/etc/group \
 && chmod 1777 /out/tmp \
 && chown 65532:65532 /out/var/lib/larder

# Nothing but the programs, root certificates and time zones: no shell, no package manager. The services write
# nothing to their file system, so it can be mounted read-only.
FROM scratch
COPY --from=build /out /
ENV PATH=/usr/local/bin ZONEINFO=/time/zoneinfo.zip
USER 65532:65532
WORKDIR /var/lib/larder
EXPOSE 9000 9100
CMD ["authserver", "serve"]
