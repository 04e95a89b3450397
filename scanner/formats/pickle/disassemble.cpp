// The opcodes of a pickle, one a line, as Lib/pickletools.py prints them.
#include "scanner/core/evidence.hpp"
#include "scanner/formats/pickle/listing.hpp"
#include "scanner/formats/pickle/literals.hpp"
#include "scanner/formats/pickle/opcodes.hpp"
#include "scanner/formats/pickle/walk.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>

namespace hubgate::pickle {
namespace {

/// Of an argument, in bytes: more than a line shows.
constexpr std::size_t k_shown = 1024;
constexpr std::size_t k_max_line = std::size_t{64} << 10;
/// Bytes of an integer that is written out.
constexpr std::size_t k_max_integer = 64;

std::string_view name_of(std::uint8_t code) {
  switch (code) {
  case '(':
    return "MARK";
  case '.':
    return "STOP";
  case '0':
    return "POP";
  case '1':
    return "POP_MARK";
  case '2':
    return "DUP";
  case 'F':
    return "FLOAT";
  case 'I':
    return "INT";
  case 'J':
    return "BININT";
  case 'K':
    return "BININT1";
  case 'L':
    return "LONG";
  case 'M':
    return "BININT2";
  case 'N':
    return "NONE";
  case 'P':
    return "PERSID";
  case 'Q':
    return "BINPERSID";
  case 'R':
    return "REDUCE";
  case 'S':
    return "STRING";
  case 'T':
    return "BINSTRING";
  case 'U':
    return "SHORT_BINSTRING";
  case 'V':
    return "UNICODE";
  case 'X':
    return "BINUNICODE";
  case 'a':
    return "APPEND";
  case 'b':
    return "BUILD";
  case 'c':
    return "GLOBAL";
  case 'd':
    return "DICT";
  case '}':
    return "EMPTY_DICT";
  case 'e':
    return "APPENDS";
  case 'g':
    return "GET";
  case 'h':
    return "BINGET";
  case 'i':
    return "INST";
  case 'j':
    return "LONG_BINGET";
  case 'l':
    return "LIST";
  case ']':
    return "EMPTY_LIST";
  case 'o':
    return "OBJ";
  case 'p':
    return "PUT";
  case 'q':
    return "BINPUT";
  case 'r':
    return "LONG_BINPUT";
  case 's':
    return "SETITEM";
  case 't':
    return "TUPLE";
  case ')':
    return "EMPTY_TUPLE";
  case 'u':
    return "SETITEMS";
  case 'G':
    return "BINFLOAT";
  case 'B':
    return "BINBYTES";
  case 'C':
    return "SHORT_BINBYTES";
  case 0x80:
    return "PROTO";
  case 0x81:
    return "NEWOBJ";
  case 0x82:
    return "EXT1";
  case 0x83:
    return "EXT2";
  case 0x84:
    return "EXT4";
  case 0x85:
    return "TUPLE1";
  case 0x86:
    return "TUPLE2";
  case 0x87:
    return "TUPLE3";
  case 0x88:
    return "NEWTRUE";
  case 0x89:
    return "NEWFALSE";
  case 0x8a:
    return "LONG1";
  case 0x8b:
    return "LONG4";
  case 0x8c:
    return "SHORT_BINUNICODE";
  case 0x8d:
    return "BINUNICODE8";
  case 0x8e:
    return "BINBYTES8";
  case 0x8f:
    return "EMPTY_SET";
  case 0x90:
    return "ADDITEMS";
  case 0x91:
    return "FROZENSET";
  case 0x92:
    return "NEWOBJ_EX";
  case 0x93:
    return "STACK_GLOBAL";
  case 0x94:
    return "MEMOIZE";
  case 0x95:
    return "FRAME";
  case 0x96:
    return "BYTEARRAY8";
  case 0x97:
    return "NEXT_BUFFER";
  case 0x98:
    return "READONLY_BUFFER";
  default:
    return "";
  }
}

std::string code_text(std::uint8_t code) {
  if (code > 0x20 && code < 0x7f) return std::string(1, static_cast<char>(code));
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "\\x%02x", static_cast<unsigned>(code));
  return text.data();
}

// As repr(float) writes it: the shortest digits that read back, exponents from 1e16 on and below
// 1e-4.
std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::scientific)
                       .ptr;
  std::string text(buffer.data(), end);
  const std::size_t e = text.find('e');
  int exponent = 0;
  const char* const figures = text.data() + e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(figures, text.data() + text.size(), exponent);
  if (exponent < -4 || exponent >= 16) return text;
  const int digits =
      static_cast<int>(std::count_if(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(e),
                                     [](char c) { return c >= '0' && c <= '9'; }));
  const int after = std::max(1, digits - 1 - exponent);
  std::array<char, 64> fixed{};
  std::snprintf(fixed.data(), fixed.size(), "%.*f", after, value);
  return fixed.data();
}

// Two's complement, little-endian, of any size.
std::string integer_text(Bytes bytes) {
  if (bytes.empty()) return "0";
  if (bytes.size() > k_max_integer)
    return "<an integer of " + std::to_string(bytes.size()) + " bytes>";
  std::vector<std::uint8_t> rest(bytes.begin(), bytes.end());
  const bool negative = (rest.back() & 0x80) != 0;
  if (negative) {
    unsigned carry = 1;
    for (std::uint8_t& byte: rest) {
      carry += static_cast<std::uint8_t>(~byte);
      byte = static_cast<std::uint8_t>(carry);
      carry >>= 8;
    }
  }
  std::string out;
  while (std::any_of(rest.begin(), rest.end(), [](std::uint8_t byte) { return byte != 0; })) {
    unsigned left = 0;
    for (std::size_t i = rest.size(); i-- > 0;) {
      left = left << 8 | rest[i];
      rest[i] = static_cast<std::uint8_t>(left / 10);
      left %= 10;
    }
    out += static_cast<char>('0' + left);
  }
  if (out.empty()) return "0";
  if (negative) out += '-';
  std::reverse(out.begin(), out.end());
  return out;
}

std::string latin1_to_utf8(std::string_view text) {
  std::string out;
  for (const char c: text) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte >= 0x80) {
      out += static_cast<char>(0xc0 | byte >> 6);
      out += static_cast<char>(0x80 | (byte & 0x3f));
    } else {
      out += c;
    }
  }
  return out;
}

std::string number_line(std::string_view line) {
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r' || line.back() == 'L'))
    line.remove_suffix(1);
  return std::string(line);
}

// One opcode, located.
struct Located {
  std::uint8_t code = 0;
  std::uint64_t next = 0;
  std::uint64_t length = 0; ///< of the argument's data
  std::string data;         ///< its first bytes
  bool whole = false;
};

Located locate(Source& source, std::uint64_t at) {
  Located out;
  const Bytes head = source.view(at, 9);
  if (head.empty()) return out;
  out.code = head[0];
  const Opcode& op = k_opcodes[out.code];
  std::uint64_t data = at + 1;
  switch (op.arg) {
  case Arg::invalid:
    return out;
  case Arg::none:
    break;
  case Arg::fixed:
    out.length = op.size;
    break;
  case Arg::data1:
  case Arg::data4:
  case Arg::data4s:
  case Arg::data8: {
    const std::size_t field = op.arg == Arg::data1 ? 1 : op.arg == Arg::data8 ? 8 : 4;
    if (head.size() < 1 + field) return out;
    out.length = little(head.data() + 1, field);
    data += field;
    if (out.length > ~std::uint64_t{0} - data) return out;
    break;
  }
  case Arg::line:
  case Arg::lines: {
    const Bytes bytes = source.view(data, k_max_line);
    auto newline = std::find(bytes.begin(), bytes.end(), std::uint8_t{'\n'});
    if (newline != bytes.end() && op.arg == Arg::lines)
      newline = std::find(newline + 1, bytes.end(), std::uint8_t{'\n'});
    if (newline == bytes.end()) return out;
    out.length = static_cast<std::uint64_t>(newline - bytes.begin());
    out.next = data + out.length + 1;
    break;
  }
  }
  if (out.next == 0) out.next = data + out.length;
  const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(out.length, k_shown));
  out.data = std::string(as_text(source.view(data, want)));
  out.whole = out.data.size() == want;
  return out;
}

std::string argument_text(const Located& op) {
  const Bytes bytes = as_bytes(op.data);
  const bool cut = op.data.size() < op.length;
  const auto text = [&](const std::string& content, bool as_bytes_literal) {
    std::string out = python_literal(content, as_bytes_literal);
    return cut ? out + "…" : out;
  };
  switch (op.code) {
  case 'K':
  case 'M':
  case 'h':
  case 'j':
  case 'q':
  case 'r':
  case 0x80:
  case 0x82:
  case 0x83:
  case 0x95:
    return std::to_string(little(bytes.data(), bytes.size()));
  case 'J':
  case 0x84:
    return integer_text(bytes);
  case 0x8a:
  case 0x8b:
    return cut ? "<an integer of " + std::to_string(op.length) + " bytes>" : integer_text(bytes);
  case 'G': {
    std::uint64_t raw = 0;
    for (const std::uint8_t byte: bytes)
      raw = raw << 8 | byte;
    return float_text(std::bit_cast<double>(raw));
  }
  case 'F':
    return float_text(std::strtod(op.data.c_str(), nullptr));
  case 'I':
    return op.data == "00" ? "False" : op.data == "01" ? "True" : number_line(op.data);
  case 'L':
  case 'g':
  case 'p':
    return number_line(op.data);
  case 'c':
  case 'i': {
    std::string both = op.data;
    std::replace(both.begin(), both.end(), '\n', ' ');
    return text(both, false);
  }
  case 'S': {
    std::string_view line = op.data;
    while (!line.empty() && (line.back() == '\r' || line.back() == ' '))
      line.remove_suffix(1);
    if (line.size() >= 2) line = line.substr(1, line.size() - 2);
    return text(unescape_string(line), false);
  }
  case 'V':
    return text(unescape_raw_unicode(op.data), false);
  case 'T':
  case 'U':
    return text(latin1_to_utf8(op.data), false);
  case 'B':
  case 'C':
  case 0x8e:
    return text(op.data, true);
  case 0x96:
    return "bytearray(" + text(op.data, true) + ")";
  case 'P':
  case 'X':
  case 0x8c:
  case 0x8d:
    return text(op.data, false);
  default:
    return "";
  }
}

// What marks and memo do, as pickletools notes it.
class Notes {
public:
  std::size_t depth() const { return marks_.size(); }

  std::string of(std::uint8_t code, std::uint64_t at) {
    const Opcode& op = k_opcodes[code];
    std::string note;
    if (op.to_mark || (code == '0' && !marks_.empty() && marks_.back().above == 0)) {
      if (marks_.empty()) {
        note = "no MARK exists on stack";
      } else {
        note = "(MARK at " + std::to_string(marks_.back().at) + ")";
        above_mark() = 0;
        marks_.pop_back();
      }
      above_mark() -= std::min<std::uint64_t>(above_mark(), op.needs);
    } else {
      const std::uint64_t taken = code == '0' ? 1 : op.needs;
      above_mark() -= std::min(above_mark(), taken);
    }
    above_mark() += op.pushes;
    if (code == '(') marks_.push_back({at, 0});
    if (code == 0x94) note = "(as " + std::to_string(memo_) + ")";
    if (code == 0x94 || code == 'p' || code == 'q' || code == 'r') ++memo_;
    return note;
  }

private:
  struct Mark {
    std::uint64_t at = 0;
    std::uint64_t above = 0; ///< items on the stack
  };
  std::uint64_t& above_mark() { return marks_.empty() ? bottom_ : marks_.back().above; }

  std::vector<Mark> marks_;
  std::uint64_t bottom_ = 0;
  std::uint64_t memo_ = 0;
};

std::string line_of(const Located& op, std::uint64_t at, Notes& notes) {
  constexpr std::size_t k_indent = 4;
  constexpr std::size_t k_most_indent = 40;
  std::string line = code_text(op.code);
  line.resize(std::max<std::size_t>(line.size(), 4), ' ');
  line += ' ';
  line.append(std::min(notes.depth(), k_most_indent) * k_indent, ' ');
  const std::string_view name = name_of(op.code);
  line += name;
  const bool argument = k_opcodes[op.code].arg != Arg::none;
  const std::string note = notes.of(op.code, at);
  if (argument || !note.empty()) line.append(name.size() < 10 ? 10 - name.size() : 0, ' ');
  if (argument) line += ' ' + argument_text(op);
  if (!note.empty()) line += ' ' + note;
  return line;
}

} // namespace

std::string python_literal(std::string_view text, bool bytes) {
  static constexpr std::string_view k_digits = "0123456789abcdef";
  const char quote =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"'
                                                                                            : '\'';
  std::string out = bytes ? "b" : "";
  out += quote;
  for (const char c: text) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f || (bytes && byte >= 0x80)) {
      out += "\\x";
      out += k_digits[byte >> 4];
      out += k_digits[byte & 15];
    } else {
      out += c;
    }
  }
  return out + quote;
}

void disassemble(Source& source, Session& session, std::uint64_t begin, std::uint64_t end,
                 const std::vector<Skipped>& skipped, std::string_view broken) {
  Notes notes;
  auto skip = skipped.begin();
  std::uint64_t at = begin;
  while (at < end && session.budget().time_left()) {
    if (skip != skipped.end() && at >= skip->from) {
      session.show("disassembly", at,
                   std::to_string(skip->upto - skip->from) + " bytes that are no opcodes");
      at = std::max(at, skip->upto);
      ++skip;
      continue;
    }
    const Located op = locate(source, at);
    if (op.next == 0) break;
    session.show("disassembly", at, line_of(op, at, notes));
    at = op.next;
  }
  if (broken.empty()) return;
  if (const Located op = locate(source, end); op.whole && op.next != 0)
    session.show("disassembly", end, line_of(op, end, notes));
  session.show("disassembly", end, "the pickle breaks here: " + std::string(broken));
}

} // namespace hubgate::pickle
