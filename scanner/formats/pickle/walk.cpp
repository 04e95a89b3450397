#include "scanner/formats/pickle/walk.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace hubgate::pickle {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Of a module's or function's name. Odd names exist (dashes, other alphabets, control characters
/// in the name of a file); they count only when something is called with them.
constexpr std::size_t k_longest_name = 1024;

// Whether a line could be the argument of a protocol 0 opcode. Wider than any unpickler.
bool plausible_line(std::uint8_t opcode, std::string_view line) {
  const auto all = [&](std::string_view allowed) {
    return !line.empty() && std::all_of(line.begin(), line.end(), [&](char c) {
      return is_digit(c) || allowed.find(c) != std::string_view::npos;
    });
  };
  switch (opcode) {
  case 'I':
  case 'L': {
    // Up to a NUL, like C; hexadecimal, octal, binary, signs, blanks, underscores.
    line = line.substr(0, line.find('\0'));
    if (!all("+- \t\v\f\r_xXoObBabcdefABCDEFlL")) return false;
    return std::any_of(line.begin(), line.end(), is_digit);
  }
  case 'F': {
    line = line.substr(0, line.find('\0'));
    return all("+-.eEinfatyINFATY \t\v\f\r");
  }
  case 'S': {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' '))
      line.remove_suffix(1);
    return line.size() >= 2 && line.front() == line.back() &&
           (line.front() == '\'' || line.front() == '"');
  }
  case 'p':
  case 'g':
    line = line.substr(0, line.find('\0'));
    return all("+-_ \t\v\f\r");
  case 'P': // CPython takes ASCII only
    return std::none_of(line.begin(), line.end(),
                        [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
  default:
    return true;
  }
}

// Modules may be called anything that a file can; what stands in one was bound to an identifier.
// Lines of prose and Markdown ("(install)=", "# How to install") have blanks and signs.
bool may_be_attribute(std::string_view name) {
  return name.find_first_of(" #(),;:!?=\"'") == std::string_view::npos;
}

// The walk's state: how deep the stack is, and where the marks lie. Marks beyond the kept ones end
// the walk undecided.
class Stack {
public:
  bool can_pop(std::size_t n) const { return depth_ - fence() >= n; }
  void pop(std::size_t n) { depth_ -= n; }
  void push(std::size_t n) { depth_ += n; }
  bool mark() {
    if (count_ == marks_.size()) return false;
    marks_[count_++] = depth_;
    return true;
  }
  bool to_mark() {
    if (count_ == 0) return false;
    depth_ = marks_[--count_];
    return true;
  }
  bool pop_or_mark() {
    if (count_ > 0 && depth_ == fence()) return to_mark();
    if (!can_pop(1)) return false;
    pop(1);
    return true;
  }
  std::size_t above_mark() const { return depth_ - fence(); }
  std::size_t depth() const { return depth_; }

private:
  std::size_t fence() const { return count_ == 0 ? 0 : marks_[count_ - 1]; }
  std::array<std::size_t, 256> marks_{};
  std::size_t count_ = 0;
  std::size_t depth_ = 0;
};

/// Opcodes without a contradiction that bytes at random don't make.
constexpr std::size_t k_no_chance = 8;

} // namespace

bool is_dotted_name(std::string_view name) {
  bool start = true;
  for (const char c: name) {
    if (start ? !is_letter(c) : !(is_letter(c) || is_digit(c) || c == '.')) return false;
    start = c == '.';
  }
  return !name.empty() && !start;
}

Walk walk(Bytes data, std::size_t max_opcodes) {
  Walk out;
  out.header = data.size() >= 2 && data[0] == 0x80 && data[1] >= 1 && data[1] <= 5;
  Stack stack;
  bool imports = false;
  bool registered = false; // by EXT1 to EXT4
  bool called_registered = false;
  std::size_t names_seen = 0; // texts that could be module or name, for STACK_GLOBAL
  std::size_t at = 0;
  const auto finish = [&](Walk::End end) {
    out.end = end;
    out.consumed = at;
    out.depth = stack.depth();
    // Numbers look like this now and then: `) EXT2 R` and something that is no opcode. Registered
    // extensions are the reader's own, and there are none unless another pickle made them.
    out.acts = out.acts ||
               (called_registered && (end != Walk::End::invalid || out.opcodes >= k_no_chance));
    return out;
  };
  while (out.opcodes < max_opcodes) {
    if (at >= data.size()) return finish(Walk::End::data_end);
    const std::uint8_t code = data[at];
    const Opcode& op = k_opcodes[code];
    const std::size_t room = data.size() - at - 1;
    std::size_t argument = 0; // bytes behind the opcode
    std::size_t field = 0;    // of them, length field
    switch (op.arg) {
    case Arg::invalid:
      return finish(Walk::End::invalid);
    case Arg::none:
      break;
    case Arg::fixed:
      argument = op.size;
      break;
    case Arg::data1:
      field = 1;
      break;
    case Arg::data4:
    case Arg::data4s:
      field = 4;
      break;
    case Arg::data8:
      field = 8;
      break;
    case Arg::line:
    case Arg::lines: {
      const auto newline = [&](std::size_t from) -> std::size_t {
        if (from >= data.size()) return data.size();
        const void* found = std::memchr(data.data() + from, '\n', data.size() - from);
        return found == nullptr ? data.size()
                                : static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) -
                                                           data.data());
      };
      const std::size_t first = newline(at + 1);
      if (first == data.size()) {
        if (op.arg == Arg::lines && room > k_longest_name) return finish(Walk::End::invalid);
        return finish(Walk::End::data_end);
      }
      const auto line = as_text(data.subspan(at + 1, first - at - 1));
      std::size_t last = first;
      if (op.arg == Arg::lines) {
        last = newline(first + 1);
        const auto second = as_text(data.subspan(first + 1, last - first - 1));
        if (line.size() > k_longest_name || second.size() > k_longest_name)
          return finish(Walk::End::invalid);
        if (last == data.size()) return finish(Walk::End::data_end);
        out.names = out.names || (is_dotted_name(line) && is_dotted_name(second));
        imports = imports || may_be_attribute(second);
      } else if (!plausible_line(code, line)) {
        return finish(Walk::End::invalid);
      } else if ((code == 'V' && is_dotted_name(line)) ||
                 (code == 'S' && line.size() > 2 &&
                  is_dotted_name(line.substr(1, line.size() - 2)))) {
        ++names_seen;
      }
      argument = last - at;
      break;
    }
    }
    if (field != 0) {
      if (field > room) return finish(Walk::End::data_end);
      const std::uint64_t length = little(data.data() + at + 1, field);
      if (op.arg == Arg::data4s && length > 0x7fffffff) return finish(Walk::End::invalid);
      if (length >= (std::uint64_t{1} << 48)) {
        ++out.opcodes;
        return finish(out.header ? Walk::End::data_end : Walk::End::invalid);
      }
      if (length <= 256 && length <= room - field && op.needs == 0 &&
          is_dotted_name(as_text(data.subspan(at + 1 + field, static_cast<std::size_t>(length)))))
        ++names_seen;
      if (length > room - field) {
        ++out.opcodes;
        return finish(Walk::End::data_end);
      }
      argument = field + static_cast<std::size_t>(length);
    }
    if (argument > room) return finish(Walk::End::data_end);

    if (code == '0') {
      if (!stack.pop_or_mark()) return finish(Walk::End::invalid);
    } else if (code == '(') {
      if (!stack.mark()) return finish(Walk::End::data_end);
    } else if (code == '.') {
      if (!stack.can_pop(1)) return finish(Walk::End::invalid);
      stack.pop(1);
      ++at;
      ++out.opcodes;
      return finish(Walk::End::stop);
    } else {
      if (code == 'o' && stack.above_mark() == 0) return finish(Walk::End::invalid);
      if ((code == 'd' || code == 'u') && stack.above_mark() % 2 != 0)
        return finish(Walk::End::invalid);
      if (op.to_mark && !stack.to_mark()) return finish(Walk::End::invalid);
      if (!stack.can_pop(op.needs)) return finish(Walk::End::invalid);
      stack.pop(op.needs);
      stack.push(op.pushes);
      if (code == 0x93 && names_seen >= 2) out.names = true;
      // STACK_GLOBAL, EXT1 to 4, PERSID and BINPERSID make what can be called, too.
      if (code == 0x93 || code == 'P' || code == 'Q') imports = true;
      registered = registered || (code >= 0x82 && code <= 0x84);
      if (code == 'R' || code == 'i' || code == 'o' || code == 0x81 || code == 0x92 ||
          code == 'b') {
        out.calls = out.calls || out.names;
        out.acts = out.acts || imports;
        called_registered = called_registered || registered;
      }
    }
    at += 1 + argument;
    ++out.opcodes;
  }
  return finish(Walk::End::data_end);
}

} // namespace hubgate::pickle
