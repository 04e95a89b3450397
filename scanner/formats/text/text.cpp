// Plain text in any encoding that people use: JSON, CSV, XML, YAML, Markdown, source code. Knowing
// that it is text is the point: it is not opaque then. See README.md.
#include "scanner/config/rules.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/values.hpp"
#include "scanner/prose/prose.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace hubgate {
namespace {

constexpr std::size_t k_step = std::size_t{256} << 10;

constexpr std::array<Rule, 2> k_own{{
    {"text-hidden-characters", "deception", Severity::informational, Reach::data, "CWE-1007", "",
     "", "characters that can't be seen, or turn the direction of what is shown"},
    {"text-script", "script", Severity::informational, Reach::data, "", "", "",
     "a script that names its interpreter"},
}};
constexpr auto k_rules = config::joined(k_own, prose::k_rules);

const Rule& k_hidden = k_rules[0];
const Rule& k_script = k_rules[1];

enum class Encoding { utf8, utf16le, utf16be, utf32le, utf32be };

// Control characters that stand in text files: tab, line ends, form feed, backspace and escape
// (terminal colours in logs), and ^Z at the end of DOS files.
bool is_foreign(std::uint32_t c) {
  return c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != '\v' && c != '\b' &&
         c != 0x1b && c != 0x1a;
}

// Bidirectional controls, zero-width characters and tags. Joiners are ordinary in many scripts.
bool is_hidden(std::uint32_t c) {
  return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200b ||
         c == 0x200e || c == 0x200f || c == 0x2060 || c == 0xfeff || (c >= 0xe0000 && c <= 0xe007f);
}

std::optional<Encoding> by_mark(Bytes head) {
  if (starts_with(head, "\xef\xbb\xbf")) return Encoding::utf8;
  if (starts_with(head, std::string_view("\xff\xfe\0\0", 4))) return Encoding::utf32le;
  if (starts_with(head, std::string_view("\0\0\xfe\xff", 4))) return Encoding::utf32be;
  if (starts_with(head, "\xff\xfe")) return Encoding::utf16le;
  if (starts_with(head, "\xfe\xff")) return Encoding::utf16be;
  return std::nullopt;
}

// Decodes bytes as they come and keeps what is needed to judge them.
class Decoder {
public:
  explicit Decoder(Encoding encoding) : encoding_(encoding) {}

  /// False: this is no text.
  bool feed(Bytes bytes, std::uint64_t offset) {
    return encoding_ == Encoding::utf8 ? feed_utf8(bytes, offset) : feed_wide(bytes, offset);
  }
  /// At the end: whether what was seen is text.
  bool finish() const {
    if (encoding_ != Encoding::utf8) return pending_ == 0 && high_ == 0 && foreign_ == 0;
    if (foreign_ * k_foreign_each > total_) return false;
    // Older 8-bit encodings (Latin-1, Shift-JIS, GBK…): no UTF-8, no control characters, and not
    // mere bytes either.
    return (!invalid_ && pending_ == 0) || ascii_ >= total_ / 4;
  }
  std::uint64_t hidden() const { return hidden_; }
  std::uint64_t first_hidden() const { return first_hidden_; }

private:
  static constexpr std::uint64_t k_foreign_each = 1000; ///< characters for one foreign one
  static constexpr std::uint64_t k_some_foreign = 4;    ///< before that can be said

  bool feed_utf8(Bytes bytes, std::uint64_t offset);
  bool feed_wide(Bytes bytes, std::uint64_t offset);
  bool point(std::uint32_t c, std::uint64_t offset) {
    // Minified scripts have a few control characters in their literals; NUL is in no text.
    if (is_foreign(c) && (c == 0 || ++foreign_ > k_some_foreign + total_ / k_foreign_each))
      return false;
    if (is_hidden(c) && offset != 0 && hidden_++ == 0) first_hidden_ = offset;
    return true;
  }

  Encoding encoding_;
  std::uint32_t value_ = 0; ///< of a character that is not complete
  unsigned pending_ = 0;    ///< bytes that it still needs (UTF-8) or that it has (wide)
  std::uint32_t smallest_ = 0;
  std::uint32_t high_ = 0; ///< high surrogate that waits for its low one
  std::uint64_t total_ = 0;
  std::uint64_t ascii_ = 0;
  std::uint64_t hidden_ = 0;
  std::uint64_t first_hidden_ = 0;
  std::uint64_t foreign_ = 0;
  bool invalid_ = false;
};

bool Decoder::feed_utf8(Bytes bytes, std::uint64_t offset) {
  total_ += bytes.size();
  for (std::size_t i = 0; i < bytes.size();) {
    // Eight printable ASCII bytes at once.
    if (pending_ == 0 && bytes.size() - i >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + i, 8);
      constexpr std::uint64_t k_high = 0x8080808080808080;
      const std::uint64_t below = (word - 0x2020202020202020) & ~word;
      if (((word | below) & k_high) == 0) {
        i += 8;
        ascii_ += 8;
        continue;
      }
    }
    const std::uint8_t c = bytes[i];
    if (pending_ > 0 && (c & 0xc0) == 0x80) {
      value_ = (value_ << 6) | (c & 0x3f);
      if (--pending_ == 0) {
        if (value_ < smallest_ || value_ > 0x10ffff || (value_ >= 0xd800 && value_ < 0xe000))
          invalid_ = true;
        else if (!point(value_, offset + i - (smallest_ == 0x80 ? 1 : smallest_ == 0x800 ? 2 : 3)))
          return false;
      }
      ++i;
      continue;
    }
    if (pending_ > 0) invalid_ = true;
    pending_ = 0;
    if (c < 0x80) {
      if (!point(c, offset + i)) return false;
      ++ascii_;
    } else if (c >= 0xc2 && c <= 0xf4) {
      pending_ = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
      smallest_ = c >= 0xf0 ? 0x10000 : c >= 0xe0 ? 0x800 : 0x80;
      value_ = c & (c >= 0xf0 ? 0x07U : c >= 0xe0 ? 0x0fU : 0x1fU);
    } else {
      invalid_ = true;
    }
    ++i;
  }
  return true;
}

bool Decoder::feed_wide(Bytes bytes, std::uint64_t offset) {
  const bool little = encoding_ == Encoding::utf16le || encoding_ == Encoding::utf32le;
  const unsigned width = encoding_ == Encoding::utf16le || encoding_ == Encoding::utf16be ? 2 : 4;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    value_ =
        little ? value_ | (std::uint32_t{bytes[i]} << (8 * pending_)) : (value_ << 8) | bytes[i];
    if (++pending_ < width) continue;
    std::uint32_t c = value_;
    value_ = 0;
    pending_ = 0;
    if (c > 0x10ffff || c == 0xfffe || c == 0xffff) return false;
    if (c >= 0xd800 && c < 0xdc00) {
      high_ = c;
      continue;
    }
    if (c >= 0xdc00 && c < 0xe000) {
      if (high_ == 0) return false;
      c = 0x10000 + ((high_ - 0xd800) << 10) + (c - 0xdc00);
    } else if (high_ != 0) {
      return false;
    }
    high_ = 0;
    if (!point(c, offset + i + 1 - width)) return false;
  }
  return true;
}

Claim probe(const Probe& probe) {
  if (probe.head.empty()) return Claim::no;
  const auto mark = by_mark(probe.head);
  Decoder decoder(mark.value_or(Encoding::utf8));
  return decoder.feed(probe.head, 0) ? Claim::maybe : Claim::no;
}

void report_script(Session& session, Bytes head) {
  if (!starts_with(head, "#!")) return;
  const std::string_view text = as_text(head);
  const std::string_view line = text.substr(0, std::min<std::size_t>(text.find('\n'), 200));
  session.find(k_script, 0, line.size(), line);
}

Reading scan(Source& source, Session& session) {
  Encoding encoding = Encoding::utf8;
  std::string head;
  {
    const Bytes bytes = source.view(0, 256);
    head = as_text(bytes);
    encoding = by_mark(bytes).value_or(Encoding::utf8);
  }
  Decoder decoder(encoding);
  prose::ProseWatch watch(session);
  std::string instructions; // what is said around the first of them
  std::uint64_t instructions_at = 0;
  std::uint64_t at = 0;
  for (Bytes piece = source.some(0, k_step); !piece.empty(); piece = source.some(at, k_step)) {
    if (!decoder.feed(piece, at)) return Reading::none;
    if (encoding == Encoding::utf8) watch.feed(as_text(piece), at);
    if (instructions.empty())
      if (const auto hit = find_override(as_text(piece))) {
        instructions = as_text(piece).substr(*hit > 60 ? *hit - 60 : 0, 160);
        instructions_at = at + *hit;
      }
    at += piece.size();
    session.release(at - std::min(at, k_held_tail));
    if (!session.budget().time_left()) {
      session.gap(Reason::budget, Reach::data, at, "out of time");
      return Reading::broken;
    }
  }
  if (!decoder.finish()) return Reading::none;
  watch.finish();
  report_script(session, as_bytes(head));
  if (!instructions.empty())
    session.find(k_rule_row_instructions, instructions_at, 0, instructions);
  if (decoder.hidden() > 0)
    session.find(k_hidden, decoder.first_hidden(), 0,
                 std::to_string(decoder.hidden()) + " characters that can't be seen");
  return Reading::valid;
}

} // namespace

extern const Format format_text;
const Format format_text{.name = "text",
                         .family = "text",
                         .probe = probe,
                         .scan = scan,
                         .rules = k_rules,
                         .data_version = prose::k_version,
                         .weak = true};

} // namespace hubgate
