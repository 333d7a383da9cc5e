package main

// The roots of public certificate authorities, as Mozilla's of the day of this module: for an
// empty container, which has none of its own. Where the system has some, those hold alone.
import _ "golang.org/x/crypto/x509roots/fallback"
