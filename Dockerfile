# syntax=docker/dockerfile:1
# One binary with libpq and OpenSSL inside, in an image that holds nothing else: no shell, no package manager.

FROM rust:1-slim-trixie AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates g++ make perl \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN cargo build --locked --profile dist --features bundled
# What the binary still wants of the system, for an empty image: the C library and its loader.
RUN mkdir -p /image/etc/ssl/certs /image/tmp \
    && cp target/dist/keyward /image/ \
    && ldd target/dist/keyward | grep -o '/[^ ]*' | while read -r library; do \
         mkdir -p "/image$(dirname "$library")" && cp -L "$library" "/image$library"; done \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
    && echo 'keyward:x:65532:65532::/:/keyward' >/image/etc/passwd \
    && echo 'keyward:x:65532:' >/image/etc/group \
    && chroot --userspec=65532:65532 /image /keyward --version

FROM scratch
COPY --from=build /image /
# Where OpenSSL looks for the authorities of `sslrootcert=system`.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    KEYWARD_LISTEN=0.0.0.0:8080
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["/keyward", "health"]
ENTRYPOINT ["/keyward"]
CMD ["serve"]
