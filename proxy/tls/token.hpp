#pragma once
// Token: one key in a PKCS#11 token (HSM, smart card, SoftHSM), through the vendor's module. It is
// loaded and asked by whoever opens the token: of a running gate that is the signer's process
// alone. PKCS #11 version 2.40, from p11-kit's header; only ECDSA over P-256 (CKM_ECDSA).
#include "proxy/tls/token_uri.hpp"
#include "proxy/tls/x509.hpp"
#include "scanner/core/bytes.hpp"

namespace hubgate::proxy {

/// Holds a PIN, and overwrites it at the end.
class Pin {
public:
  explicit Pin(std::string text) : text_(std::move(text)) {}
  Pin(Pin&& other) noexcept : text_(other.text_) { other.forget(); }
  Pin& operator=(Pin&&) = delete;
  ~Pin() { forget(); }
  const std::string& text() const { return text_; }

private:
  void forget();
  std::string text_;
};

/// From the URI's pin-source (a file that its owner alone may read), else from `environment`, what
/// stood in HUBGATE_PKCS11_PIN, else asked for on the terminal if standard input is one.
Result<Pin> read_pin(const TokenUri& uri, std::string environment);

/// Takes HUBGATE_PKCS11_PIN out of the environment and overwrites it there.
std::string take_pin_from_environment();

class Token {
public:
  /// Loads the module and logs in. The error says what is missing: module, token, or the right PIN.
  static Result<std::unique_ptr<Token>> open(const TokenUri& uri, Pin pin);
  ~Token();
  Token(const Token&) = delete;
  Token& operator=(const Token&) = delete;

  /// Looks for the private key that the URI names. False: there is none. An error when there are
  /// several, or when it is no P-256 key.
  Result<bool> find();
  /// Makes a P-256 key under the URI's label, which can't leave the token; its id goes into uri().
  Result<void> generate();
  /// Removes the key that was found or made.
  Result<void> destroy();
  /// The public key of what was found or made.
  EVP_PKEY* key() const { return key_.get(); }
  const TokenUri& uri() const { return uri_; }

  /// Signs a certificate whose key, names and extensions are complete: ecdsa-with-SHA256. A lost
  /// session is opened once more, unless the PIN has proven wrong.
  Result<void> sign(X509* certificate);

private:
  struct Module;
  Token(TokenUri uri, Pin pin);
  Result<void> log_in(bool write);
  Result<std::string> sign_digest(Bytes digest);

  TokenUri uri_;
  Pin pin_;
  std::unique_ptr<Module> module_;
  Key key_;
};

} // namespace hubgate::proxy
