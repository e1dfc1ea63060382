# A machine with nothing but Debian's Node and npm, and a user without root.
ARG BASE=debian:trixie-slim
FROM $BASE
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates nodejs npm && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home guest
USER guest
RUN mkdir /home/guest/dlock
WORKDIR /home/guest/dlock
COPY --chown=guest . .
CMD ["npm", "test"]
