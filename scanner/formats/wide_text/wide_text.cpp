// Text in UTF-16 and UTF-32: with a mark, or as json.loads() tells it without one. What it says is
// scanned once more as UTF-8, since every other reader of text here expects that. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"

#include <optional>
#include <string>

namespace hubgate {
namespace {

constexpr std::size_t k_step = std::size_t{256} << 10;
constexpr std::size_t k_max_text = std::size_t{64} << 20;

struct Encoding {
  unsigned width;
  bool little;
  unsigned mark; ///< bytes of the byte order mark
};

std::optional<Encoding> encoding_of(Bytes head) {
  if (starts_with(head, std::string_view("\xff\xfe\0\0", 4))) return Encoding{4, true, 4};
  if (starts_with(head, std::string_view("\0\0\xfe\xff", 4))) return Encoding{4, false, 4};
  if (starts_with(head, "\xff\xfe")) return Encoding{2, true, 2};
  if (starts_with(head, "\xfe\xff")) return Encoding{2, false, 2};
  // json.detect_encoding(): JSON begins with two characters of ASCII.
  if (head.size() < 4) return std::nullopt;
  if (head[0] == 0) return head[1] != 0 ? Encoding{2, false, 0} : Encoding{4, false, 0};
  if (head[1] == 0)
    return head[2] != 0 || head[3] != 0 ? Encoding{2, true, 0} : Encoding{4, true, 0};
  return std::nullopt;
}

bool is_foreign(std::uint32_t c) {
  return c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != '\v' && c != '\b' &&
         c != 0x1b && c != 0x1a;
}

void append(std::string& out, std::uint32_t c) {
  const auto tail = [&](unsigned shift) { out += static_cast<char>(0x80 | (c >> shift & 63)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | (c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | (c >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xf0 | (c >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

// Takes bytes as they come. A surrogate that stands alone is kept as a replacement character.
class Decoder {
public:
  explicit Decoder(Encoding encoding) : encoding_(encoding) {}
  /// False: this is no text.
  bool feed(Bytes bytes, std::string& out);
  bool whole() const { return pending_ == 0; }

private:
  bool unit(std::uint32_t c, std::string& out);

  Encoding encoding_;
  unsigned pending_ = 0;
  std::uint32_t value_ = 0;
  std::uint32_t high_ = 0;
};

bool Decoder::feed(Bytes bytes, std::string& out) {
  for (const std::uint8_t byte: bytes) {
    value_ = encoding_.little ? value_ | std::uint32_t{byte} << (8 * pending_) : value_ << 8 | byte;
    if (++pending_ < encoding_.width) continue;
    const std::uint32_t c = value_;
    value_ = 0;
    pending_ = 0;
    if (!unit(c, out)) return false;
  }
  return true;
}

bool Decoder::unit(std::uint32_t c, std::string& out) {
  constexpr std::uint32_t k_replacement = 0xfffd;
  if (c > 0x10ffff || c == 0xfffe || c == 0xffff || is_foreign(c)) return false;
  if (high_ != 0) {
    const bool pair = c >= 0xdc00 && c < 0xe000;
    append(out, pair ? 0x10000 + ((high_ - 0xd800) << 10) + (c - 0xdc00) : k_replacement);
    high_ = 0;
    if (pair) return true;
  }
  if (c >= 0xd800 && c < 0xdc00)
    high_ = c;
  else
    append(out, c >= 0xdc00 && c < 0xe000 ? k_replacement : c);
  return true;
}

// XML has its own word on its encoding, and its own reader of it (formats/xml). Without a mark,
// only JSON is read so.
bool is_ours(std::string_view text, const Encoding& encoding) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return false;
  if (encoding.mark == 0) return text[first] == '{' || text[first] == '[';
  return text[first] != '<';
}

std::optional<std::string> head_text(Bytes head, const Encoding& encoding) {
  std::string text;
  if (!Decoder(encoding).feed(head.subspan(encoding.mark), text)) return std::nullopt;
  return text;
}

Claim probe(const Probe& probe) {
  const auto encoding = encoding_of(probe.head);
  if (!encoding) return Claim::no;
  const auto text = head_text(probe.head, *encoding);
  return text && is_ours(*text, *encoding) ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  const auto encoding = encoding_of(source.view(0, 4));
  if (!encoding) return Reading::none;
  Decoder decoder(*encoding);
  std::string text;
  for (std::uint64_t at = encoding->mark;;) {
    const Bytes piece = source.some(at, k_step);
    if (piece.empty()) break;
    if (!decoder.feed(piece, text)) return Reading::none;
    at += piece.size();
    if (text.size() > k_max_text) {
      session.gap(Reason::budget, Reach::data, at, "a text in UTF-16 of more than 64 MiB");
      return Reading::broken;
    }
  }
  if (!decoder.whole()) return Reading::none;
  MemorySource inner(as_bytes(text));
  session.embedded("as UTF-8", inner);
  return Reading::valid;
}

} // namespace

extern const Format format_wide_text;
const Format format_wide_text{.name = "wide_text",
                              .family = "text",
                              .probe = probe,
                              .scan = scan,
                              .rules = {},
                              .data_version = "1",
                              .weak = true};

} // namespace hubgate
