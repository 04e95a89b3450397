#include "scanner/code/python/evaluator.hpp"

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace hubgate::python {
namespace {

/// What one decompression of a constant may produce.
constexpr std::size_t k_max_decoded = std::size_t{4} << 20;
constexpr std::size_t k_noted_of_folded = 8192;

bool inflate_text(const std::string& in, int window, std::string& out) {
  z_stream stream{};
  if (inflateInit2(&stream, window) != Z_OK) return false;
  std::vector<unsigned char> input(in.begin(), in.end());
  stream.next_in = input.data();
  stream.avail_in = static_cast<uInt>(input.size());
  std::array<unsigned char, 16384> buffer{};
  int state = Z_OK;
  while (state == Z_OK && out.size() < k_max_decoded) {
    stream.next_out = buffer.data();
    stream.avail_out = static_cast<uInt>(buffer.size());
    state = inflate(&stream, Z_NO_FLUSH);
    out.append(buffer.begin(),
               buffer.begin() + static_cast<std::ptrdiff_t>(buffer.size() - stream.avail_out));
  }
  inflateEnd(&stream);
  return !out.empty();
}

bool bunzip_text(const std::string& in, std::string& out) {
  out.resize(k_max_decoded);
  std::string input = in;
  auto n = static_cast<unsigned>(out.size());
  const int state = BZ2_bzBuffToBuffDecompress(out.data(), &n, input.data(),
                                               static_cast<unsigned>(input.size()), 0, 0);
  out.resize(state == BZ_OK ? n : 0);
  return state == BZ_OK;
}

bool unlzma_text(const std::string& in, std::string& out) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_auto_decoder(&stream, std::uint64_t{64} << 20, 0) != LZMA_OK) return false;
  std::vector<std::uint8_t> buffer(k_max_decoded);
  std::vector<std::uint8_t> input(in.begin(), in.end());
  stream.next_in = input.data();
  stream.avail_in = input.size();
  stream.next_out = buffer.data();
  stream.avail_out = buffer.size();
  // A stream that breaks gives what came before.
  const lzma_ret state = lzma_code(&stream, LZMA_FINISH);
  if (state == LZMA_MEM_ERROR) stream.avail_out = buffer.size();
  out.assign(buffer.begin(),
             buffer.begin() + static_cast<std::ptrdiff_t>(buffer.size() - stream.avail_out));
  lzma_end(&stream);
  return !out.empty();
}

// Bits of an alphabet of 2^bits characters, most significant first; others are passed over.
std::string from_alphabet(const std::string& in, std::string_view alphabet, unsigned bits) {
  std::string out;
  std::uint32_t buffer = 0;
  unsigned held = 0;
  for (char c: in) {
    if (c == '=') break;
    if (bits == 6 && c == '-') c = '+';
    if (bits == 6 && c == '_') c = '/';
    if (bits != 6 && c >= 'a' && c <= 'z') c = static_cast<char>(c ^ 0x20);
    const std::size_t value = alphabet.find(c);
    if (value == std::string_view::npos) continue;
    buffer = (buffer << bits) | static_cast<std::uint32_t>(value);
    held += bits;
    if (held >= 8) {
      held -= 8;
      out += static_cast<char>((buffer >> held) & 0xff);
    }
  }
  return out;
}

std::string from_base85(const std::string& in, bool ascii) {
  static constexpr std::string_view k_alphabet =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
  std::string out;
  std::uint32_t word = 0;
  int n = 0;
  const auto put = [&](int bytes) {
    for (int i = 0; i < bytes; ++i)
      out += static_cast<char>((word >> (24 - 8 * i)) & 0xff);
  };
  for (const char c: in) {
    std::size_t value = 0;
    if (ascii) {
      if (c == 'z' && n == 0) {
        out.append(4, '\0');
        continue;
      }
      if (c < '!' || c > 'u') continue;
      value = static_cast<std::size_t>(c - '!');
    } else {
      value = k_alphabet.find(c);
      if (value == std::string_view::npos) continue;
    }
    word = word * 85 + static_cast<std::uint32_t>(value);
    if (++n == 5) {
      put(4);
      word = 0;
      n = 0;
    }
  }
  if (n > 1) {
    for (int i = n; i < 5; ++i)
      word = word * 85 + 84;
    put(n - 1);
  }
  return out;
}

std::string rot13(std::string text) {
  for (char& c: text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>('a' + (c - 'a' + 13) % 26);
    if (c >= 'A' && c <= 'Z') c = static_cast<char>('A' + (c - 'A' + 13) % 26);
  }
  return text;
}

void append_point(std::string& out, std::uint32_t c, bool bytes) {
  if (c < 0x80 || bytes) {
    out += static_cast<char>(c & 0xff);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | ((c >> 18) & 7));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

} // namespace

std::string unescaped(std::string_view in, bool bytes) {
  std::string out;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (in[i] != '\\' || i + 1 >= in.size()) {
      out += in[i];
      continue;
    }
    const char c = in[++i];
    static constexpr std::string_view k_from = "ntrabfv\\'\"";
    static constexpr std::string_view k_to = "\n\t\r\a\b\f\v\\'\"";
    if (const auto at = k_from.find(c); at != std::string_view::npos) {
      out += k_to[at];
      continue;
    }
    if (c == '\n') continue;
    if (c == '\r') {
      if (i + 1 < in.size() && in[i + 1] == '\n') ++i;
      continue;
    }
    const std::size_t digits = c == 'x' ? 2 : bytes ? 0 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits > 0) {
      std::uint32_t value = 0;
      std::size_t n = 0;
      for (; n < digits && i + 1 + n < in.size(); ++n) {
        const char d = in[i + 1 + n];
        const int nibble = d >= '0' && d <= '9'                     ? d - '0'
                           : (d | 0x20) >= 'a' && (d | 0x20) <= 'f' ? (d | 0x20) - 'a' + 10
                                                                    : -1;
        if (nibble < 0) break;
        value = value * 16 + static_cast<std::uint32_t>(nibble);
      }
      i += n;
      append_point(out, value, bytes);
      continue;
    }
    if (c >= '0' && c <= '7') {
      std::uint32_t value = static_cast<std::uint32_t>(c - '0');
      for (int n = 0; n < 2 && i + 1 < in.size() && in[i + 1] >= '0' && in[i + 1] <= '7'; ++n)
        value = value * 8 + static_cast<std::uint32_t>(in[++i] - '0');
      append_point(out, value, bytes);
      continue;
    }
    out += '\\';
    out += c;
  }
  return out;
}

bool Evaluator::charge(std::uint64_t bytes) {
  // A value takes some bytes whatever its length.
  const std::uint64_t cost = bytes + 48;
  if (cost > fold_budget_) {
    fold_budget_ = 0;
    return false;
  }
  fold_budget_ -= cost;
  return true;
}

Value Evaluator::make_text(std::string text, Labels labels, bool partial, Kind kind) {
  Value out{.kind = kind, .partial = partial, .labels = labels};
  if (!charge(0)) return {.labels = labels};
  pool_.push_back(std::move(text));
  out.ref = static_cast<std::uint32_t>(pool_.size() - 1);
  // Of long texts that were put together only the beginning: their parts were looked at whole.
  if (!pool_.back().empty())
    note_text(std::string_view(pool_.back()).substr(0, k_noted_of_folded), here_);
  return out;
}

Value Evaluator::make_integer(std::int64_t number) const {
  Value out{.kind = Kind::integer};
  out.number = number;
  return out;
}

Value Evaluator::make_list(std::vector<Value> items, Labels labels) {
  if (!charge(items.size() * sizeof(Value))) return {.labels = labels};
  Value out{.kind = Kind::list, .labels = labels};
  lists_.push_back(std::move(items));
  out.ref = static_cast<std::uint32_t>(lists_.size() - 1);
  return out;
}

Value Evaluator::make_name(std::string path, Labels labels, std::uint32_t from) {
  if (!charge(path.size())) return {.labels = labels, .step = from};
  Value out{.kind = Kind::name, .labels = labels, .step = from};
  pool_.push_back(std::move(path));
  out.ref = static_cast<std::uint32_t>(pool_.size() - 1);
  return out;
}

// A value as it would stand in a text.
std::string Evaluator::text_of(const Value& value) const {
  if (value.is_text() || value.kind == Kind::handle) return raw(value);
  if (value.kind == Kind::integer) return std::to_string(value.number);
  if (value.kind == Kind::none) return "None";
  if (value.kind == Kind::name && raw(value).size() < 60) return k_hole + raw(value) + ";";
  return k_hole + std::to_string(value.origin) + ";";
}

Value Evaluator::literal(NodeId id) {
  const std::string_view text = tree_.slice(id);
  const std::uint32_t begin = tree_[id].begin;
  std::string out;
  bool bytes = false;
  if (tree_[id].op != 0) { // a part of an f-string
    out = tree_[id].op == 'R' ? std::string(text) : unescaped(text, false);
  } else {
    bool raw_text = false;
    std::size_t at = 0;
    for (; at < text.size() && text[at] != '"' && text[at] != '\''; ++at) {
      raw_text = raw_text || (text[at] | 0x20) == 'r';
      bytes = bytes || (text[at] | 0x20) == 'b';
    }
    const bool triple =
        text.size() - at >= 6 && text[at + 1] == text[at] && text[at + 2] == text[at];
    const std::size_t edge = triple ? 3 : 1;
    const std::string_view inner = text.substr(at + edge, text.size() - at - 2 * edge);
    if (!charge(inner.size())) return unknown(0, id);
    out = raw_text || inner.find('\\') == std::string_view::npos ? std::string(inner)
                                                                 : unescaped(inner, bytes);
  }
  if (out.empty()) return make_text({}, 0, false, bytes ? Kind::bytes : Kind::text);
  note_text(out, begin);
  Value value{.kind = bytes ? Kind::bytes : Kind::text};
  pool_.push_back(std::move(out));
  value.ref = static_cast<std::uint32_t>(pool_.size() - 1);
  return value;
}

// An integer of more than 64 bits: its bytes, the most significant first.
Value Evaluator::long_number(const std::string& text, NodeId at) {
  constexpr std::size_t k_longest = 4096;
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  Value out = unknown(0, at);
  if (text.size() > k_longest || !charge(text.size())) return out;
  std::string bytes; // the least significant first
  for (std::size_t i = hex ? 2 : 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool digit = c >= '0' && c <= '9';
    if (!digit && !hex) return out;
    unsigned carry = static_cast<unsigned>(digit ? c - '0' : (c | 0x20) - 'a' + 10);
    if (carry > 15) return out;
    for (char& byte: bytes) {
      carry += static_cast<unsigned char>(byte) * (hex ? 16U : 10U);
      byte = static_cast<char>(carry & 0xff);
      carry >>= 8;
    }
    if (carry != 0) bytes += static_cast<char>(carry);
  }
  ticks_ += bytes.size() * text.size() / 64;
  std::reverse(bytes.begin(), bytes.end());
  pool_.push_back(std::move(bytes));
  out.ref = static_cast<std::uint32_t>(pool_.size() - 1);
  out.number = k_long_number;
  return out;
}

Value Evaluator::number(NodeId id) {
  std::string text(tree_.slice(id));
  std::erase(text, '_');
  if (text.size() > 24 && text.find_first_of(".jJeE") == std::string::npos)
    return long_number(text, id);
  if (text.size() > 24 || text.find_first_of(".jJ") != std::string::npos) return unknown(0, id);
  const bool prefixed = text.size() > 2 && text[0] == '0';
  const char letter = prefixed ? static_cast<char>(text[1] | 0x20) : '\0';
  const int base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
  if (base == 10 && text.find_first_of("eE") != std::string::npos) return unknown(0, id);
  return make_integer(
      static_cast<std::int64_t>(std::strtoull(text.c_str() + (base == 10 ? 0 : 2), nullptr, base)));
}

bool Evaluator::list_bytes(const Value& list, std::string& out) const {
  for (const Value& item: lists_[list.ref]) {
    if (item.kind != Kind::integer || item.number < 0 || item.number > 255) return false;
    out += static_cast<char>(item.number);
  }
  return !out.empty();
}

// A constant, or a short row of them, as zip() and enumerate() give.
bool Evaluator::is_plain(const Value& value) const {
  if (value.is_constant()) return true;
  if (value.kind != Kind::list || lists_[value.ref].size() > 4) return false;
  const auto& row = lists_[value.ref];
  return std::all_of(row.begin(), row.end(), [](const Value& v) { return v.is_constant(); });
}

// The elements of lists, of texts and of range().
bool Evaluator::reads_as_list(const Value& value, std::vector<Value>& out) {
  if (value.kind == Kind::list) {
    out = lists_[value.ref];
    return true;
  }
  if (!value.is_text() || value.partial || raw(value).size() > k_max_items) return false;
  const std::string text = raw(value);
  if (!charge(text.size() * 64)) return false;
  for (std::size_t i = 0; i < text.size();) {
    if (value.kind == Kind::bytes) {
      out.push_back(make_integer(static_cast<unsigned char>(text[i++])));
      continue;
    }
    std::size_t end = i + 1; // a character of UTF-8
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
      ++end;
    out.push_back(make_text(text.substr(i, end - i), value.labels, false));
    i = end;
  }
  return true;
}

Value Evaluator::decode(const Callable& known, const Arguments& arguments, NodeId at) {
  static constexpr std::string_view k_base64_alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const Value first = arguments.get(0);
  const bool compression = known.detail >= k_zlib && known.detail <= k_lzma;
  const bool own = first.is_text() || (first.labels & (k_decoded | k_net | k_computed)) != 0;
  const Labels labels =
      (first.labels & ~k_pieces) | (compression && !own ? Labels{k_unpacked} : Labels{k_decoded});
  const std::uint32_t from = step(at, first.step);
  int codec = known.detail;
  if (codec == k_by_name) {
    const Value name = arguments.get(1, "encoding");
    std::string word = name.is_text() ? raw(name) : "utf-8";
    std::erase_if(word, [](char c) { return c == '_' || c == '-'; });
    codec = word == "rot13"                             ? k_rot13
            : word == "base64" || word == "base64codec" ? k_base64
            : word == "hex" || word == "hexcodec"       ? k_base16
            : word == "zlib" || word == "zip"           ? k_zlib
            : word == "bz2"                             ? k_bzip2
            : word == "unicodeescape" || word == "rawunicodeescape" || word == "stringescape"
                ? k_escapes
                : -1;
    if (codec < 0 && first.kind == Kind::text && (word == "latin1" || word == "iso88591") &&
        charge(raw(first).size())) {
      Value out = make_text(narrowed(raw(first)), first.labels, first.partial, Kind::bytes);
      out.step = first.step;
      return out;
    }
    if (codec < 0) return first;
  }
  if (!first.is_text() || first.partial || !charge(raw(first).size()))
    return unknown(labels, at, from);
  const std::string in = raw(first);
  std::string out;
  bool good = true;
  switch (codec) {
  case k_base64:
    out = from_alphabet(in, k_base64_alphabet, 6);
    break;
  case k_base32:
    out = from_alphabet(in, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 5);
    break;
  case k_base16:
    out = from_alphabet(in, "0123456789ABCDEF", 4);
    break;
  case k_base85:
  case k_ascii85:
    out = from_base85(in, codec == k_ascii85);
    break;
  case k_zlib:
    good = inflate_text(in, MAX_WBITS + 32, out) || inflate_text(in, -MAX_WBITS, out);
    break;
  case k_gzip:
    good = inflate_text(in, MAX_WBITS + 32, out);
    break;
  case k_bzip2:
    good = bunzip_text(in, out);
    break;
  case k_lzma:
    good = unlzma_text(in, out);
    break;
  case k_rot13:
    out = rot13(in);
    break;
  case k_escapes:
    out = unescaped(in, false);
    break;
  default:
    good = false;
    break;
  }
  if (!good || !charge(out.size())) return unknown(labels, at, from);
  Value value = make_text(std::move(out), labels, false, Kind::bytes);
  value.step = from;
  return value;
}

Value Evaluator::percent(const std::string& pattern, const Value& right, Labels labels) {
  std::string out;
  bool partial = false;
  std::size_t next = 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%' || i + 1 >= pattern.size()) {
      out += pattern[i];
      continue;
    }
    if (pattern[i + 1] == '%') {
      out += pattern[++i];
      continue;
    }
    std::size_t end = i + 1;
    if (pattern[end] == '(') end = std::min(pattern.find(')', end), pattern.size() - 1);
    while (end < pattern.size() &&
           std::string_view("diouxXeEfFgGcrsa").find(pattern[end]) == std::string_view::npos)
      ++end;
    i = end;
    Value value = right;
    if (right.kind == Kind::list)
      value = next < lists_[right.ref].size() ? lists_[right.ref][next++] : Value{};
    else if (right.kind == Kind::dict)
      value = {};
    partial = partial || !value.is_constant();
    out += text_of(value);
  }
  if (!charge(out.size())) return {.labels = labels};
  return make_text(std::move(out), labels, partial);
}

Value Evaluator::format_text(const std::string& pattern, const Arguments& arguments,
                             Labels labels) {
  std::string out;
  bool partial = false;
  std::size_t next = 0;
  for (const Value& value: arguments.positional)
    labels |= value.labels & ~k_pieces;
  for (const auto& [name, value]: arguments.named)
    labels |= value.labels & ~k_pieces;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if ((c == '{' || c == '}') && i + 1 < pattern.size() && pattern[i + 1] == c) {
      out += c;
      ++i;
      continue;
    }
    if (c != '{') {
      out += c;
      continue;
    }
    const std::size_t end = std::min(pattern.find('}', i), pattern.size());
    std::string field = pattern.substr(i + 1, end - i - 1);
    field = field.substr(0, field.find_first_of("!:.["));
    Value value;
    if (field.empty())
      value = arguments.get(next++);
    else if (field.find_first_not_of("0123456789") == std::string::npos && field.size() < 4)
      value = arguments.get(static_cast<std::size_t>(std::strtoul(field.c_str(), nullptr, 10)));
    else
      value = arguments.get(~std::size_t{0}, field);
    partial = partial || !value.is_constant();
    out += text_of(value);
    i = end;
  }
  if (!charge(out.size())) return {.labels = labels};
  return make_text(std::move(out), labels, partial);
}

} // namespace hubgate::python
