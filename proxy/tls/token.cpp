#include "proxy/tls/token.hpp"

#include "scanner/core/digest.hpp"
#include "scanner/core/evidence.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <p11-kit/pkcs11.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace hubgate::proxy {

namespace {

constexpr const char* k_variable = "HUBGATE_PKCS11_PIN";
constexpr std::size_t k_max_pin = 256;
constexpr std::size_t k_id_bytes = 8;
constexpr CK_ULONG k_point_bytes = 65; ///< 04, x and y (SEC 1, 2.3.3)
constexpr CK_ULONG k_signature_bytes = 64;
// OBJECT IDENTIFIER prime256v1, DER.
constexpr std::array<unsigned char, 10> k_p256 = {6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7};

std::string reason(CK_RV code) {
  switch (code) {
  case CKR_PIN_INCORRECT:
  case CKR_PIN_INVALID:
  case CKR_PIN_LEN_RANGE:
    return "the PIN is wrong";
  case CKR_PIN_LOCKED:
    return "the PIN is locked: it was wrong too often";
  case CKR_PIN_EXPIRED:
    return "the PIN has expired";
  case CKR_USER_PIN_NOT_INITIALIZED:
    return "the token has no user PIN yet";
  case CKR_TOKEN_NOT_PRESENT:
  case CKR_SLOT_ID_INVALID:
    return "the token is not there";
  case CKR_DEVICE_REMOVED:
    return "the token was removed";
  case CKR_DEVICE_ERROR:
    return "the token reports a failure of its own";
  case CKR_SESSION_HANDLE_INVALID:
  case CKR_SESSION_CLOSED:
    return "the session with the token has ended";
  case CKR_KEY_HANDLE_INVALID:
  case CKR_OBJECT_HANDLE_INVALID:
    return "the key is not in the token any more";
  case CKR_KEY_FUNCTION_NOT_PERMITTED:
    return "the key may not sign";
  case CKR_MECHANISM_INVALID:
    return "the token can't do this (ECDSA over P-256 is needed)";
  case CKR_TOKEN_WRITE_PROTECTED:
  case CKR_SESSION_READ_ONLY:
    return "the token is write-protected";
  default: {
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "PKCS#11 error 0x%lx", code);
    return text.data();
  }
  }
}

bool is_pin_failure(CK_RV code) {
  return code == CKR_PIN_INCORRECT || code == CKR_PIN_INVALID || code == CKR_PIN_LEN_RANGE ||
         code == CKR_PIN_LOCKED || code == CKR_PIN_EXPIRED;
}

// Whether logging in once more may help.
bool is_lost(CK_RV code) {
  return code == CKR_SESSION_HANDLE_INVALID || code == CKR_SESSION_CLOSED ||
         code == CKR_USER_NOT_LOGGED_IN || code == CKR_DEVICE_REMOVED ||
         code == CKR_TOKEN_NOT_PRESENT;
}

// Fields of tokens are padded with blanks.
template <std::size_t N> std::string padded(const unsigned char (&field)[N]) {
  std::string out(reinterpret_cast<const char*>(field), N);
  out.erase(out.find_last_not_of(' ') + 1);
  return out;
}

CK_ATTRIBUTE attribute(CK_ATTRIBUTE_TYPE type, void* value, std::size_t size) {
  return CK_ATTRIBUTE{type, value, static_cast<CK_ULONG>(size)};
}

// CKA_EC_POINT is a DER OCTET STRING; some modules leave its head out.
Key key_of_point(std::string_view point) {
  if (point.size() == k_point_bytes + 2 && point[0] == 4 && point[1] == k_point_bytes)
    point.remove_prefix(2);
  if (point.size() != k_point_bytes || point[0] != 4) return nullptr;
  std::string octets(point);
  std::string group = "P-256";
  const std::array<OSSL_PARAM, 3> parameters = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, octets.data(), octets.size()),
      OSSL_PARAM_construct_end()};
  const std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY,
                        const_cast<OSSL_PARAM*>(parameters.data())) != 1)
    return nullptr;
  return Key(key);
}

// r and s as X.509 wants them (RFC 3279, 2.2.3).
std::string der_signature(const std::string& raw) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(raw.data());
  constexpr int k_half = k_signature_bytes / 2;
  const std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG_free>> signature(ECDSA_SIG_new());
  if (!signature || ECDSA_SIG_set0(signature.get(), BN_bin2bn(bytes, k_half, nullptr),
                                   BN_bin2bn(bytes + k_half, k_half, nullptr)) != 1)
    return {};
  unsigned char* der = nullptr;
  const int length = i2d_ECDSA_SIG(signature.get(), &der);
  if (length <= 0) return {};
  std::string out(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return out;
}

Result<std::string> pin_from_file(const std::string& path) {
  const File file(std::fopen(path.c_str(), "re"));
  if (!file) return Error{path + ": the PIN can't be read: " + std::strerror(errno)};
  struct stat status{};
  if (fstat(fileno(file.get()), &status) != 0 || (status.st_mode & 077) != 0)
    return Error{path + ": others than its owner may read the PIN: chmod 600"};
  std::array<char, k_max_pin + 2> buffer{};
  const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), file.get());
  std::string pin(buffer.data(), n);
  OPENSSL_cleanse(buffer.data(), buffer.size());
  if (pin.ends_with('\n')) pin.pop_back();
  if (pin.empty() || pin.size() > k_max_pin) return Error{path + ": holds no PIN"};
  return pin;
}

} // namespace

void Pin::forget() {
  if (!text_.empty()) OPENSSL_cleanse(text_.data(), text_.size());
  text_.clear();
}

std::string take_pin_from_environment() {
  char* value = std::getenv(k_variable);
  if (value == nullptr) return {};
  std::string out(value);
  // It is seen in /proc/PID/environ, and inherited, until it is overwritten.
  OPENSSL_cleanse(value, out.size());
  unsetenv(k_variable);
  return out;
}

Result<Pin> read_pin(const TokenUri& uri, std::string environment) {
  if (!uri.pin_source.empty()) return Pin(HUBGATE_TRY(pin_from_file(uri.pin_source)));
  if (!environment.empty()) return Pin(std::move(environment));
  std::array<char, k_max_pin + 1> buffer{};
  if (isatty(STDIN_FILENO) == 1 &&
      EVP_read_pw_string(buffer.data(), static_cast<int>(buffer.size()), "PIN of the token: ", 0) ==
          0) {
    std::string pin(buffer.data());
    OPENSSL_cleanse(buffer.data(), buffer.size());
    if (!pin.empty()) return Pin(std::move(pin));
  }
  return Error{std::string("the token wants a PIN: pin-source=FILE in the URI, or ") + k_variable};
}

struct Token::Module {
  ~Module() {
    if (functions != nullptr) functions->C_Finalize(nullptr);
    if (library != nullptr) dlclose(library);
  }
  Result<CK_SLOT_ID> slot_of(const TokenUri& uri) const;
  std::vector<CK_OBJECT_HANDLE> objects(CK_OBJECT_CLASS kind, std::string label,
                                        std::string id) const;
  std::string bytes_of(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) const;

  void* library = nullptr;
  CK_FUNCTION_LIST* functions = nullptr; ///< after C_Initialize
  CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
  CK_OBJECT_HANDLE private_key = CK_INVALID_HANDLE;
  bool wrong_pin = false; ///< never tried again: tokens lock themselves
};

Result<CK_SLOT_ID> Token::Module::slot_of(const TokenUri& uri) const {
  CK_ULONG count = 0;
  CK_RV code = functions->C_GetSlotList(CK_TRUE, nullptr, &count);
  std::vector<CK_SLOT_ID> slots(count);
  if (code == CKR_OK) code = functions->C_GetSlotList(CK_TRUE, slots.data(), &count);
  if (code != CKR_OK) return Error{uri.module_path + ": " + reason(code)};
  slots.resize(std::min<std::size_t>(slots.size(), count));
  std::vector<CK_SLOT_ID> found;
  std::string others;
  for (const CK_SLOT_ID slot: slots) {
    CK_TOKEN_INFO info{};
    if (functions->C_GetTokenInfo(slot, &info) != CKR_OK) continue;
    const auto is = [](const std::string& wanted, const std::string& value) {
      return wanted.empty() || wanted == value;
    };
    if (is(uri.token, padded(info.label)) && is(uri.serial, padded(info.serialNumber)) &&
        is(uri.manufacturer, padded(info.manufacturerID)) && is(uri.model, padded(info.model)) &&
        (!uri.slot_id || *uri.slot_id == slot))
      found.push_back(slot);
    else if ((info.flags & CKF_TOKEN_INITIALIZED) != 0)
      others += (others.empty() ? "" : ", ") + printable(padded(info.label), 64);
  }
  if (found.size() == 1) return found.front();
  const std::string name = uri.token.empty() ? "that the URI names" : "\"" + uri.token + "\"";
  if (!found.empty())
    return Error{uri.module_path + ": has several tokens " + name + ": add serial= to the URI"};
  return Error{uri.module_path + ": there is no token " + name +
               (others.empty() ? ", nor any other" : "; there are: " + others)};
}

std::vector<CK_OBJECT_HANDLE> Token::Module::objects(CK_OBJECT_CLASS kind, std::string label,
                                                     std::string id) const {
  std::vector<CK_ATTRIBUTE> wanted = {attribute(CKA_CLASS, &kind, sizeof kind)};
  if (!label.empty()) wanted.push_back(attribute(CKA_LABEL, label.data(), label.size()));
  if (!id.empty()) wanted.push_back(attribute(CKA_ID, id.data(), id.size()));
  std::vector<CK_OBJECT_HANDLE> out(8);
  CK_ULONG count = 0;
  if (functions->C_FindObjectsInit(session, wanted.data(), wanted.size()) != CKR_OK) return {};
  const CK_RV code = functions->C_FindObjects(session, out.data(), out.size(), &count);
  functions->C_FindObjectsFinal(session);
  out.resize(code == CKR_OK ? std::min<std::size_t>(count, out.size()) : 0);
  return out;
}

std::string Token::Module::bytes_of(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) const {
  std::array<char, 256> buffer{};
  CK_ATTRIBUTE wanted = attribute(type, buffer.data(), buffer.size());
  if (functions->C_GetAttributeValue(session, object, &wanted, 1) != CKR_OK ||
      wanted.ulValueLen > buffer.size())
    return {};
  return std::string(buffer.data(), wanted.ulValueLen);
}

Token::Token(TokenUri uri, Pin pin)
    : uri_(std::move(uri)), pin_(std::move(pin)), module_(std::make_unique<Module>()) {}

Token::~Token() = default;

Result<std::unique_ptr<Token>> Token::open(const TokenUri& uri, Pin pin) {
  std::unique_ptr<Token> out(new Token(uri, std::move(pin)));
  Module& module = *out->module_;
  module.library = dlopen(uri.module_path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module.library == nullptr) {
    const char* why = dlerror();
    return Error{"PKCS#11 module " + std::string(why == nullptr ? "can't be loaded" : why)};
  }
  const auto get =
      reinterpret_cast<CK_C_GetFunctionList>(dlsym(module.library, "C_GetFunctionList"));
  CK_FUNCTION_LIST* functions = nullptr;
  if (get == nullptr || get(&functions) != CKR_OK || functions == nullptr)
    return Error{uri.module_path + ": is no PKCS#11 module"};
  CK_C_INITIALIZE_ARGS arguments{};
  arguments.flags = CKF_OS_LOCKING_OK;
  if (const CK_RV code = functions->C_Initialize(&arguments); code != CKR_OK)
    return Error{uri.module_path + ": does not start: " + reason(code)};
  module.functions = functions;
  if (auto logged_in = out->log_in(false); !logged_in) return logged_in.error();
  return out;
}

Result<void> Token::log_in(bool write) {
  Module& module = *module_;
  if (module.wrong_pin) return Error{"token \"" + uri_.token + "\": " + reason(CKR_PIN_INCORRECT)};
  if (module.session != CK_INVALID_HANDLE) module.functions->C_CloseSession(module.session);
  module.session = CK_INVALID_HANDLE;
  module.private_key = CK_INVALID_HANDLE;
  const CK_SLOT_ID slot = HUBGATE_TRY(module.slot_of(uri_));
  CK_RV code = module.functions->C_OpenSession(
      slot, CKF_SERIAL_SESSION | (write ? CKF_RW_SESSION : 0UL), nullptr, nullptr, &module.session);
  if (code == CKR_OK) {
    std::string pin = pin_.text();
    code = module.functions->C_Login(module.session, CKU_USER,
                                     reinterpret_cast<unsigned char*>(pin.data()), pin.size());
    OPENSSL_cleanse(pin.data(), pin.size());
  }
  if (code == CKR_OK || code == CKR_USER_ALREADY_LOGGED_IN) return {};
  module.wrong_pin = is_pin_failure(code);
  return Error{"token \"" + printable(uri_.token, 64) + "\": " + reason(code)};
}

Result<bool> Token::find() {
  Module& module = *module_;
  const std::string name = "key \"" + printable(uri_.object, 64) + "\": ";
  const auto found = module.objects(CKO_PRIVATE_KEY, uri_.object, uri_.id);
  if (found.empty()) return false;
  if (found.size() > 1) return Error{name + "the token has several: add id= to the URI"};
  const std::string id = module.bytes_of(found.front(), CKA_ID);
  const std::string group = module.bytes_of(found.front(), CKA_EC_PARAMS);
  if (group != std::string_view(reinterpret_cast<const char*>(k_p256.data()), k_p256.size()))
    return Error{name + "is no P-256 key"};
  const auto halves = module.objects(CKO_PUBLIC_KEY, id.empty() ? uri_.object : "", id);
  if (halves.empty()) return Error{name + "its public key is not in the token"};
  key_ = key_of_point(module.bytes_of(halves.front(), CKA_EC_POINT));
  if (!key_) return Error{name + "its public key can't be read"};
  module.private_key = found.front();
  uri_.id = id;
  return true;
}

Result<void> Token::generate() {
  if (uri_.object.empty()) return Error{"PKCS#11 URI: a new key needs a name: object=NAME"};
  if (auto writing = log_in(true); !writing) return writing;
  uri_.id.assign(k_id_bytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(uri_.id.data()), k_id_bytes) != 1)
    return Error{"no random bytes can be had"};
  CK_BBOOL yes = CK_TRUE;
  CK_BBOOL no = CK_FALSE;
  auto group = k_p256;
  const auto flag = [](CK_ATTRIBUTE_TYPE type, CK_BBOOL& value) {
    return attribute(type, &value, sizeof value);
  };
  const CK_ATTRIBUTE label = attribute(CKA_LABEL, uri_.object.data(), uri_.object.size());
  const CK_ATTRIBUTE id = attribute(CKA_ID, uri_.id.data(), uri_.id.size());
  std::array open_half = {label,
                          id,
                          flag(CKA_TOKEN, yes),
                          flag(CKA_PRIVATE, no),
                          flag(CKA_VERIFY, yes),
                          attribute(CKA_EC_PARAMS, group.data(), group.size())};
  std::array closed_half = {label,
                            id,
                            flag(CKA_TOKEN, yes),
                            flag(CKA_PRIVATE, yes),
                            flag(CKA_SIGN, yes),
                            flag(CKA_SENSITIVE, yes),
                            flag(CKA_EXTRACTABLE, no)};
  CK_MECHANISM mechanism{CKM_EC_KEY_PAIR_GEN, nullptr, 0};
  CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE;
  CK_OBJECT_HANDLE private_key = CK_INVALID_HANDLE;
  const CK_RV code = module_->functions->C_GenerateKeyPair(
      module_->session, &mechanism, open_half.data(), open_half.size(), closed_half.data(),
      closed_half.size(), &public_key, &private_key);
  if (code != CKR_OK) return Error{"no key could be made in the token: " + reason(code)};
  if (!HUBGATE_TRY(find())) return Error{"the key that the token made can't be found there"};
  return {};
}

Result<void> Token::destroy() {
  if (auto writing = log_in(true); !writing) return writing;
  bool done = true;
  for (const CK_OBJECT_CLASS kind: {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY})
    for (const CK_OBJECT_HANDLE object: module_->objects(kind, uri_.object, uri_.id))
      done = module_->functions->C_DestroyObject(module_->session, object) == CKR_OK && done;
  if (!done) return Error{"the key could not be removed from the token: " + uri_.text()};
  return {};
}

Result<std::string> Token::sign_digest(Bytes digest) {
  Module& module = *module_;
  std::vector<unsigned char> input(digest.begin(), digest.end());
  std::string out(k_signature_bytes, '\0');
  for (bool again = true;; again = false) {
    CK_MECHANISM mechanism{CKM_ECDSA, nullptr, 0};
    CK_ULONG length = out.size();
    CK_RV code = module.functions->C_SignInit(module.session, &mechanism, module.private_key);
    if (code == CKR_OK)
      code = module.functions->C_Sign(module.session, input.data(), input.size(),
                                      reinterpret_cast<unsigned char*>(out.data()), &length);
    if (code == CKR_OK && length == k_signature_bytes) return out;
    const std::string why = "token \"" + printable(uri_.token, 64) + "\" does not sign: ";
    const bool handle = code == CKR_KEY_HANDLE_INVALID || code == CKR_OBJECT_HANDLE_INVALID;
    if (!again || !(is_lost(code) || handle)) return Error{why + reason(code)};
    // Tokens are unplugged, and servers of HSMs restarted: once more from the beginning.
    if (!handle)
      if (auto back = log_in(false); !back) return back.error();
    if (!HUBGATE_TRY(find())) return Error{why + reason(CKR_KEY_HANDLE_INVALID)};
  }
}

Result<void> Token::sign(X509* certificate) {
  // OpenSSL signs with keys that it holds; here it is given the signature. What X509_get0_… call
  // const are parts of a certificate that is ours to change.
  const ASN1_BIT_STRING* value = nullptr;
  const X509_ALGOR* algorithm = nullptr;
  X509_get0_signature(&value, &algorithm, certificate);
  for (const X509_ALGOR* one: {algorithm, X509_get0_tbs_sigalg(certificate)})
    if (X509_ALGOR_set0(const_cast<X509_ALGOR*>(one), OBJ_nid2obj(NID_ecdsa_with_SHA256),
                        V_ASN1_UNDEF, nullptr) != 1)
      return Error{"no certificate could be made: " + openssl_error()};
  unsigned char* der = nullptr;
  const int length = i2d_re_X509_tbs(certificate, &der);
  if (length <= 0) return Error{"no certificate could be made: " + openssl_error()};
  const Sha256 digest = sha256(Bytes(der, static_cast<std::size_t>(length)));
  OPENSSL_free(der);
  const std::string signature = der_signature(HUBGATE_TRY(sign_digest(digest)));
  auto* into = const_cast<ASN1_BIT_STRING*>(value);
  if (signature.empty() ||
      ASN1_BIT_STRING_set(into,
                          reinterpret_cast<unsigned char*>(const_cast<char*>(signature.data())),
                          static_cast<int>(signature.size())) != 1)
    return Error{"no certificate could be made: " + openssl_error()};
  into->flags = (into->flags & ~(ASN1_STRING_FLAG_BITS_LEFT | 7L)) | ASN1_STRING_FLAG_BITS_LEFT;
  // Not for people's clients to find out.
  if (X509_verify(certificate, key_.get()) != 1)
    return Error{"the token's signature is wrong: " + openssl_error()};
  return {};
}

} // namespace hubgate::proxy
