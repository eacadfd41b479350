// Pins nats-server. Built by tools/toolchain.ts where none is installed.
module resource-manager/tools/nats-server

go 1.26.0

require github.com/nats-io/nats-server/v2 v2.15.2
