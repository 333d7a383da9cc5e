// Package cert is the certificates that gridgate shows, issues and warns of: files that are
// read again when they change, a small authority for sites that no public one serves, and
// those that an ACME server gives.
package cert
