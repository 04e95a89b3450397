// Pickles inside of values: raw, compressed, in base64 or hexadecimal. Tried cheaply first, decoded
// within the budget, then scanned as objects of their own.
#include "scanner/formats/pickle/machine.hpp"
#include "scanner/formats/pickle/walk.hpp"

#include <zlib.h>

#include <array>
#include <cstring>

namespace hubgate::pickle {
namespace {

constexpr std::size_t k_head = 4096;
constexpr std::size_t k_max_decoded = std::size_t{64} << 20;

std::string hex_offset(std::uint64_t offset) {
  std::array<char, 24> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "0x%llx", static_cast<unsigned long long>(offset));
  return buffer.data();
}

// Strict: tensors and text are full of bytes that could begin a pickle.
bool is_nested_pickle(Bytes head, bool whole) {
  if (head.size() < 3) return false;
  const Walk trial = walk(head, 512);
  if (trial.end == Walk::End::stop)
    return trial.calls || (trial.header && ((whole && trial.consumed == head.size()) ||
                                            trial.names || trial.opcodes >= 8));
  if (trial.header) return trial.names || (trial.end == Walk::End::data_end && trial.opcodes >= 16);
  return trial.calls;
}

bool is_compressed(Bytes head) {
  if (head.size() < 16) return false;
  if (head[0] == 0x1f && head[1] == 0x8b && head[2] == 8) return true;
  return (head[0] & 0x0f) == 8 && (head[0] >> 4) <= 7 && (head[0] * 256 + head[1]) % 31 == 0;
}

// Inflates zlib or gzip up to `max` bytes; what was decoded before an error counts.
std::string inflate_some(Bytes in, std::size_t max) {
  std::string out;
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 32) != Z_OK) return out;
  stream.next_in = const_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(std::min<std::size_t>(in.size(), 1u << 30));
  std::array<char, 16384> piece{};
  int state = Z_OK;
  while (state == Z_OK && out.size() < max) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(std::min(piece.size(), max - out.size()));
    const uInt room = stream.avail_out;
    state = inflate(&stream, Z_NO_FLUSH);
    out.append(piece.data(), room - stream.avail_out);
    if (stream.avail_in == 0 && room == stream.avail_out) break;
  }
  inflateEnd(&stream);
  return out;
}

int base64_value(std::uint8_t c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  if (c == '/' || c == '_') return 63;
  return -1;
}

int hex_value(std::uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  const int lower = c | 0x20;
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool is_skipped(std::uint8_t c) {
  return c == '\n' || c == '\r' || c == ' ' || c == '\t';
}

// Stops at the first byte that is none of the alphabet's. Permissive, like the decoders in use.
std::string decode(Bytes in, int (*value_of)(std::uint8_t), unsigned bits) {
  std::string out;
  std::uint32_t value = 0;
  unsigned have = 0;
  for (const std::uint8_t c: in) {
    if (is_skipped(c) || c == '\\') continue;
    const int digit = value_of(c);
    if (digit < 0) break;
    value = (value << bits) | static_cast<std::uint32_t>(digit);
    have += bits;
    if (have < 8) continue;
    have -= 8;
    out += static_cast<char>((value >> have) & 0xff);
  }
  return out;
}

bool all_of_alphabet(Bytes head, int (*value_of)(std::uint8_t)) {
  const Bytes first = head.first(std::min<std::size_t>(head.size(), 48));
  return std::all_of(first.begin(), first.end(), [&](std::uint8_t c) {
    return value_of(c) >= 0 || is_skipped(c) || c == '=' || c == '\\';
  });
}

// Boosters keep their model in its own format: XGBoost's UBJ, LightGBM's text, CatBoost's.
bool is_native_model(Bytes head) {
  using namespace std::string_view_literals;
  return starts_with(head, "{L\0\0\0\0\0\0\0"sv) || starts_with(head, "tree\nversion=v") ||
         starts_with(head, "CBM1");
}

bool hides_pickle(std::string_view head, bool whole) {
  if (is_nested_pickle(as_bytes(head), whole)) return true;
  if (!is_compressed(as_bytes(head))) return false;
  const std::string inner = inflate_some(as_bytes(head), k_head);
  return is_nested_pickle(as_bytes(inner), whole);
}

// What a pickle that calls something, or a compressed one, begins with.
bool is_beginning(int first, int second) {
  return (first == 0x80 && second <= 5) || first == 'c' || first == '(' ||
         (first == 0x1f && second == 0x8b) || (first == 0x78 && (first * 256 + second) % 31 == 0);
}

} // namespace

bool Machine::may_begin_pickle(const std::uint8_t* data, std::size_t n) {
  if (data[0] == 'c' || data[0] == '(') return std::memchr(data, '\n', n) != nullptr;
  const int a = base64_value(data[0]);
  const int b = base64_value(data[1]);
  const int c = base64_value(data[2]);
  if (a < 0 || b < 0 || c < 0) return false;
  if (is_beginning(a << 2 | b >> 4, (b & 15) << 4 | c >> 2)) return true;
  const int h = hex_value(data[0]);
  const int i = hex_value(data[1]);
  const int j = hex_value(data[2]);
  const int k = hex_value(data[3]);
  return h >= 0 && i >= 0 && j >= 0 && k >= 0 && is_beginning(h << 4 | i, j << 4 | k);
}

void Machine::scan_literal(std::uint64_t offset, std::uint64_t data, std::uint64_t length,
                           bool text) {
  const std::uint64_t at = position_;
  const Bytes view = read(data, static_cast<std::size_t>(std::min<std::uint64_t>(length, k_head)));
  if (view.size() < 16) return;
  const At where{offset, length};

  // Most literals are neither: their first bytes say so.
  const bool hex = all_of_alphabet(view, hex_value);
  const bool base64 = all_of_alphabet(view, base64_value);
  const bool compressed = !text && is_compressed(view);
  const std::vector<std::uint8_t> head(view.begin(), view.end());
  const bool whole = length == head.size();

  if (is_nested_pickle(head, whole)) {
    find(R::nested, where, "a pickle of " + std::to_string(length) + " bytes");
    SubSource inner(source_, data, length);
    session_.embedded("pickle@" + hex_offset(data), inner);
    position_ = at;
    return;
  }
  if (is_native_model(head) && !quiet()) {
    SubSource inner(source_, data, length);
    session_.embedded("model@" + hex_offset(data), inner);
    position_ = at;
    return;
  }
  if (!compressed && !base64 && !hex) return;

  std::string_view kind;
  unsigned bits = 0;
  if (hex && hides_pickle(decode(head, hex_value, 4), whole)) {
    kind = "hex";
    bits = 4;
  } else if (base64 && hides_pickle(decode(head, base64_value, 6), whole)) {
    kind = "base64";
    bits = 6;
  } else if (compressed && hides_pickle(as_text(head), whole)) {
    kind = "zlib";
  } else {
    return;
  }
  if (length > k_max_decoded) {
    gap(Reason::budget, offset, "an encoded pickle longer than 64 MiB");
    return;
  }
  const Bytes all = read(data, static_cast<std::size_t>(length));
  std::string decoded = bits == 0   ? inflate_some(all, k_max_decoded)
                        : bits == 4 ? decode(all, hex_value, 4)
                                    : decode(all, base64_value, 6);
  std::string name = std::string(kind) + "@" + hex_offset(data);
  if (bits != 0 && is_compressed(as_bytes(decoded))) {
    decoded = inflate_some(as_bytes(decoded), k_max_decoded);
    name += "+zlib";
  }
  if (decoded.size() >= k_max_decoded || !session_.budget().decoded(decoded.size()))
    gap(Reason::budget, offset, "an encoded pickle decodes to more than the budget");
  find(R::encoded, where, "a pickle as " + name);
  MemorySource inner(as_bytes(decoded));
  session_.embedded(name, inner);
  touched_ = true;
}

// What is handed to an unpickler is a pickle, however short.
void Machine::scan_nested_arguments(Word args) {
  if (quiet()) return;
  constexpr std::uint64_t k_scanned_already = 32;
  for (std::size_t i = 0; i < kept_of(args); ++i) {
    const Word item = item_of(args, i);
    if (tag_of(item) != Tag::bytes || size_of(item) >= k_scanned_already) continue;
    const auto bytes = text_of(item, k_scanned_already);
    if (!bytes || !is_nested_pickle(as_bytes(*bytes), true)) continue;
    MemorySource inner(as_bytes(*bytes));
    session_.embedded("pickle@" + hex_offset(payload_of(item)), inner);
    touched_ = true;
  }
}

} // namespace hubgate::pickle
