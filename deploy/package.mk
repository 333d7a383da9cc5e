# Packages. Everything is made in dist/ of the commit that is checked out.

.PHONY: dist deb image reproducible package-check rules-check

TARGETS ?=
dist:
	@deploy/dist.sh dist $(TARGETS)

ARCHES ?= amd64 arm64 armhf
deb: dist
	@deploy/deb.sh dist $(ARCHES)

reproducible:
	@deploy/reproducible.sh $(TARGETS)

rules-check:
	@deploy/rules.sh

image: dist
	@deploy/image.sh dist $(TARGETS)

package-check: dist
	@deploy/deb.sh dist amd64 && deploy/debcheck.sh dist/gridgate_*_amd64.deb $(ROOT)
