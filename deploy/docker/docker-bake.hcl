// docker buildx bake -f deploy/docker/docker-bake.hcl [TARGET], from the top of the checkout; `make docker-build` and `make docker-push` do it.
variable "IMAGE" {
  default = "es-sync-gateway"
}

variable "VERSION" {
  default = "dev"
}

group "default" {
  targets = ["image"]
}

target "image" {
  context    = "."
  dockerfile = "deploy/docker/Dockerfile"
  args       = { VERSION = VERSION }
  tags       = ["${IMAGE}:${VERSION}"]
}

// Each platform is built on a builder of its own kind, or under emulation: the executable holds that platform's Node.
target "release" {
  inherits  = ["image"]
  tags      = ["${IMAGE}:${VERSION}", "${IMAGE}:latest"]
  platforms = ["linux/amd64", "linux/arm64"]
  attest    = ["type=provenance,mode=max", "type=sbom"]
}
