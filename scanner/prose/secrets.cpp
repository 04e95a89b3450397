// Tokens by the shapes that their providers publish, keys by their armour. A shape alone is not
// enough: a checksum where there is one, else enough different characters.
#include "scanner/prose/prose.hpp"

#include "scanner/core/words.hpp"

#include <algorithm>
#include <bitset>

namespace hubgate::prose {
namespace {

enum class Letters { alnum, word, upper32, hex, base64 };
enum class Proof { none, crc32 };

struct Shape {
  std::string_view prefix;
  Letters letters;
  std::size_t least; ///< characters behind the prefix
  std::size_t most;
  Proof proof;
  std::string_view what;
};

constexpr std::array k_shapes{
    Shape{"hf_", Letters::alnum, 34, 40, Proof::none, "a Hugging Face token"},
    Shape{"api_org_", Letters::alnum, 34, 40, Proof::none, "a Hugging Face organisation token"},
    Shape{"ghp_", Letters::alnum, 36, 36, Proof::crc32, "a GitHub token"},
    Shape{"gho_", Letters::alnum, 36, 36, Proof::crc32, "a GitHub OAuth token"},
    Shape{"ghu_", Letters::alnum, 36, 36, Proof::crc32, "a GitHub user token"},
    Shape{"ghs_", Letters::alnum, 36, 36, Proof::crc32, "a GitHub server token"},
    Shape{"ghr_", Letters::alnum, 36, 36, Proof::crc32, "a GitHub refresh token"},
    Shape{"github_pat_", Letters::word, 82, 82, Proof::none, "a GitHub fine-grained token"},
    Shape{"npm_", Letters::alnum, 36, 36, Proof::crc32, "an npm token"},
    Shape{"glpat-", Letters::word, 20, 64, Proof::none, "a GitLab token"},
    Shape{"pypi-AgEIcHlwaS5vcmc", Letters::word, 50, 400, Proof::none, "a PyPI token"},
    Shape{"AKIA", Letters::upper32, 16, 16, Proof::none, "an AWS access key"},
    Shape{"ASIA", Letters::upper32, 16, 16, Proof::none, "an AWS session key"},
    Shape{"AIza", Letters::word, 35, 35, Proof::none, "a Google API key"},
    Shape{"GOCSPX-", Letters::word, 28, 28, Proof::none, "a Google OAuth secret"},
    Shape{"ya29.", Letters::word, 60, 400, Proof::none, "a Google access token"},
    Shape{"xoxb-", Letters::word, 40, 120, Proof::none, "a Slack bot token"},
    Shape{"xoxp-", Letters::word, 40, 120, Proof::none, "a Slack user token"},
    Shape{"xapp-", Letters::word, 40, 160, Proof::none, "a Slack app token"},
    Shape{"sk-ant-", Letters::word, 80, 160, Proof::none, "an Anthropic key"},
    Shape{"sk-proj-", Letters::word, 40, 200, Proof::none, "an OpenAI project key"},
    Shape{"sk-svcacct-", Letters::word, 40, 200, Proof::none, "an OpenAI service key"},
    Shape{"sk-", Letters::alnum, 48, 48, Proof::none, "an OpenAI key"},
    Shape{"sk_live_", Letters::alnum, 24, 120, Proof::none, "a Stripe key"},
    Shape{"rk_live_", Letters::alnum, 24, 120, Proof::none, "a Stripe restricted key"},
    Shape{"gsk_", Letters::alnum, 52, 52, Proof::none, "a Groq key"},
    Shape{"r8_", Letters::alnum, 37, 37, Proof::none, "a Replicate token"},
    Shape{"dop_v1_", Letters::hex, 64, 64, Proof::none, "a DigitalOcean token"},
    Shape{"dapi", Letters::hex, 32, 34, Proof::none, "a Databricks token"},
    Shape{"SG.", Letters::word, 22, 22, Proof::none, "a SendGrid key"},
    Shape{"AccountKey=", Letters::base64, 86, 86, Proof::none, "an Azure storage key"},
    Shape{"hooks.slack.com/services/T", Letters::base64, 40, 60, Proof::none, "a Slack webhook"},
    Shape{"discord.com/api/webhooks/", Letters::base64, 80, 100, Proof::none, "a Discord webhook"},
};

bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool belongs(char c, Letters letters) {
  switch (letters) {
  case Letters::alnum:
    return is_alnum(c);
  case Letters::word:
    return is_alnum(c) || c == '_' || c == '-';
  case Letters::upper32:
    return (c >= 'A' && c <= 'Z') || (c >= '2' && c <= '7');
  case Letters::hex:
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  case Letters::base64:
    return is_alnum(c) || c == '+' || c == '/' || c == '_' || c == '-';
  }
  return false;
}

std::uint32_t crc32_of(std::string_view text) {
  std::uint32_t crc = 0xffffffff;
  for (const char c: text) {
    crc ^= static_cast<std::uint8_t>(c);
    for (int i = 0; i < 8; ++i)
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

// GitHub and npm: 30 random characters, then their CRC-32 in six base-62 digits.
bool crc_holds(std::string_view token) {
  static constexpr std::string_view k_digits =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::uint32_t crc = crc32_of(token.substr(0, 30));
  for (std::size_t i = 6; i-- > 0; crc /= 62)
    if (token[30 + i] != k_digits[crc % 62]) return false;
  return crc == 0;
}

// What people write instead of a secret.
bool is_placeholder(std::string_view token) {
  std::bitset<256> seen;
  std::size_t run = 1;
  std::size_t longest = 1;
  for (std::size_t i = 0; i < token.size(); ++i) {
    seen.set(static_cast<std::uint8_t>(token[i]));
    run = i > 0 && token[i] == token[i - 1] ? run + 1 : 1;
    longest = std::max(longest, run);
  }
  return seen.count() < std::min<std::size_t>(10, token.size() * 2 / 3) || longest > 4 ||
         token.find("EXAMPLE") != std::string_view::npos ||
         token.find("example") != std::string_view::npos ||
         token.find("1234567") != std::string_view::npos ||
         token.find("abcdefg") != std::string_view::npos ||
         token.find("ABCDEFG") != std::string_view::npos;
}

std::optional<Secret> match(std::string_view text, std::size_t at, const Shape& shape) {
  const std::size_t begin = at + shape.prefix.size();
  std::size_t end = begin;
  while (end < text.size() && end - begin <= shape.most && belongs(text[end], shape.letters))
    ++end;
  const std::size_t length = end - begin;
  if (length < shape.least || length > shape.most) return std::nullopt;
  const std::string_view token = text.substr(begin, length);
  if (is_placeholder(token)) return std::nullopt;
  if (shape.proof == Proof::crc32) {
    if (!crc_holds(token)) return std::nullopt;
    return Secret{shape.what, at, end - at, true};
  }
  // The fine-grained form has its parts: 22 characters, '_', 59 characters.
  if (shape.prefix == "github_pat_" && token[22] != '_') return std::nullopt;
  if (shape.prefix == "SG." &&
      (end + 44 > text.size() || text[end] != '.' || !belongs(text[end + 43], Letters::word)))
    return std::nullopt;
  return Secret{shape.what, at, end - at, false};
}

// PEM: the armour, and base64 behind it.
std::optional<Secret> private_key(std::string_view text, std::size_t at) {
  const std::size_t label = text.substr(at, 48).find("PRIVATE KEY");
  if (label == std::string_view::npos) return std::nullopt;
  std::size_t armour = text.find("-----", at + label);
  if (armour == std::string_view::npos || armour > at + 80) return std::nullopt;
  armour += 5;
  std::size_t letters = 0;
  for (std::size_t i = armour; i < text.size() && i < armour + 400 && letters < 64; ++i) {
    // Line ends, and their escapes in JSON.
    if (belongs(text[i], Letters::base64))
      ++letters;
    else if (text[i] == '-')
      break;
    else if (text[i] != '\n' && text[i] != '\r' && text[i] != '\\' && text[i] != ' ')
      letters = 0;
  }
  if (letters < 64) return std::nullopt;
  return Secret{"a private key", at, armour - at, false};
}

} // namespace

std::optional<Secret> find_secret(std::string_view text, std::size_t from) {
  static constexpr std::string_view k_armour = "-----BEGIN ";
  static const WordStarts starts = [] {
    WordStarts out;
    for (const Shape& shape: k_shapes)
      out.add(shape.prefix);
    out.add(k_armour);
    return out;
  }();
  for (std::size_t at = starts.next(text, from); at != text.npos; at = starts.next(text, at + 1)) {
    if (at > 0 && (is_alnum(text[at - 1]) || text[at - 1] == '_')) continue;
    if (text[at] == '-') {
      if (text.substr(at, k_armour.size()) != k_armour) continue;
      if (const auto key = private_key(text, at)) return key;
      at += 10;
      continue;
    }
    for (const Shape& shape: k_shapes) {
      if (shape.prefix[0] != text[at] || text.substr(at, shape.prefix.size()) != shape.prefix)
        continue;
      if (const auto secret = match(text, at, shape)) return secret;
    }
  }
  return std::nullopt;
}

} // namespace hubgate::prose
