#include "scanner/core/evidence.hpp"

#include <array>
#include <cstdint>
#include <cstdio>

namespace hubgate {
namespace {

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t length = 0; ///< bytes; 0 = invalid
};

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
CodePoint decode_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  std::size_t length = 0;
  std::uint32_t value = 0;
  std::uint32_t lowest = 0;
  if ((lead & 0xe0) == 0xc0) {
    length = 2, value = lead & 0x1fu, lowest = 0x80;
  } else if ((lead & 0xf0) == 0xe0) {
    length = 3, value = lead & 0x0fu, lowest = 0x800;
  } else if ((lead & 0xf8) == 0xf0) {
    length = 4, value = lead & 0x07u, lowest = 0x10000;
  } else {
    return {};
  }
  if (text.size() < length) return {};
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = (value << 6) | (byte(i) & 0x3fu);
  }
  if (value < lowest || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return {};
  return {value, length};
}

// Characters that change how other text looks: Trojan Source (CVE-2021-42574), tags, zero width.
bool deceives(std::uint32_t c) {
  return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || c == 0x061c || c == 0x00ad ||
         (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff) ||
         (c >= 0x80 && c <= 0x9f) || c == 0x034f || c == 0x115f || c == 0x1160 || c == 0x3164;
}

void append_escaped(std::string& out, std::uint32_t value, bool raw_byte) {
  std::array<char, 16> buffer{};
  switch (value) {
  case '\n':
    out += "\\n";
    return;
  case '\r':
    out += "\\r";
    return;
  case '\t':
    out += "\\t";
    return;
  default:
    break;
  }
  std::snprintf(buffer.data(), buffer.size(), raw_byte || value < 0x80 ? "\\x%02x" : "\\u{%x}",
                static_cast<unsigned>(value));
  out += buffer.data();
}

bool is_token_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

struct SecretShape {
  std::string_view prefix;
  std::size_t least; ///< token characters after the prefix
};

// Prefixes that the providers publish.
constexpr std::array<SecretShape, 14> k_secrets{{{"hf_", 20},
                                                 {"api_org_", 20},
                                                 {"ghp_", 30},
                                                 {"gho_", 30},
                                                 {"ghs_", 30},
                                                 {"ghu_", 30},
                                                 {"github_pat_", 30},
                                                 {"glpat-", 18},
                                                 {"AKIA", 16},
                                                 {"ASIA", 16},
                                                 {"sk-", 20},
                                                 {"xoxb-", 20},
                                                 {"xoxp-", 20},
                                                 {"AIza", 30}}};

} // namespace

std::string mask_secrets(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size();) {
    const bool starts_word = i == 0 || !is_token_character(raw[i - 1]);
    bool masked = false;
    if (starts_word) {
      for (const auto& shape: k_secrets) {
        if (raw.substr(i, shape.prefix.size()) != shape.prefix) continue;
        std::size_t end = i + shape.prefix.size();
        while (end < raw.size() && is_token_character(raw[end]))
          ++end;
        if (end - i - shape.prefix.size() < shape.least) continue;
        out += raw.substr(i, shape.prefix.size());
        out += "****";
        i = end;
        masked = true;
        break;
      }
    }
    if (!masked && raw.substr(i, 11) == "-----BEGIN ") {
      const std::size_t label = raw.find("PRIVATE KEY-----", i);
      if (label != std::string_view::npos && label - i < 40) {
        out += "-----BEGIN … PRIVATE KEY-----****";
        const std::size_t end = raw.find("-----END", label);
        i = end == std::string_view::npos ? raw.size() : end;
        masked = true;
      }
    }
    if (!masked) out += raw[i++];
  }
  return out;
}

std::string escaped(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  while (!raw.empty()) {
    const CodePoint point = decode_utf8(raw);
    if (point.length == 0) {
      append_escaped(out, static_cast<std::uint8_t>(raw[0]), true);
      raw.remove_prefix(1);
      continue;
    }
    if (point.value < 0x20 || point.value == 0x7f || deceives(point.value))
      append_escaped(out, point.value, false);
    else
      out += raw.substr(0, point.length);
    raw.remove_prefix(point.length);
  }
  return out;
}

std::string printable(std::string_view raw, std::size_t max) {
  // Work on a bounded piece: evidence may be a whole embedded script.
  std::string out = escaped(mask_secrets(raw.substr(0, max * 4)));
  if (out.size() <= max && raw.size() <= max * 4) return out;
  std::size_t cut = std::min(out.size(), max);
  while (cut > 0 && (static_cast<std::uint8_t>(out[cut]) & 0xc0) == 0x80)
    --cut;
  out.resize(cut);
  out += "…";
  return out;
}

} // namespace hubgate
