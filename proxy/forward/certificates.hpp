#pragma once
// Whom a client certificate names (RFC 5280, 4.1.2.6 and 4.2.1.6). That its issuer is trusted, and
// that it is in force, TLS has checked before.
#include "proxy/forward/auth.hpp"

struct x509_st;

namespace hubgate::proxy {

/// The error says what the certificate lacks: it must name exactly one user.
Result<Person> person_of(x509_st* certificate, const CertificateRules& rules);

} // namespace hubgate::proxy
