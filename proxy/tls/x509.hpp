#pragma once
// What the gate's own certificates are made with: owners of OpenSSL's things, and files that are
// written whole or not at all.
#include "scanner/core/result.hpp"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <sys/types.h>

namespace hubgate::proxy {

template <auto Free> struct Deleter {
  template <typename T> void operator()(T* value) const { Free(value); }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using File = std::unique_ptr<FILE, Deleter<fclose>>;

/// The first error in OpenSSL's queue, which is emptied.
std::string openssl_error();

/// A certificate of `key` with a random serial number, from an hour ago (clocks differ) until
/// `seconds` from now; subject and issuer are the caller's to set. Null on failure.
Certificate blank_certificate(EVP_PKEY* key, long seconds);
void set_common_name(X509_NAME* name, std::string_view text);
/// In the syntax of openssl.cnf. `issuer` null: its own.
bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value);

/// The first certificate of a PEM file; null when there is none.
Certificate read_certificate(const std::filesystem::path& path);
/// sha256 of the DER form, hex with colons.
std::string fingerprint_of(X509* certificate);

/// `write` returns 1 on success. Written under another name first, so that a killed process leaves
/// no half file.
Result<void> write_private(const std::filesystem::path& path, mode_t mode,
                           const std::function<int(FILE*)>& write);

} // namespace hubgate::proxy
