# Packages. Everything is made in dist/ of the commit that is checked out.

.PHONY: dist deb image reproducible package-check package-life rules-check

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
	@deploy/deb.sh dist amd64 && deploy/debcheck.sh dist/gridgate_*_amd64.deb

# As root; ROOT=root.tar is a Debian made before, else mmdebstrap makes one, which takes minutes.
package-life: dist
	@deploy/deb.sh dist amd64 && LIFE=1 deploy/debcheck.sh dist/gridgate_*_amd64.deb $(ROOT)
