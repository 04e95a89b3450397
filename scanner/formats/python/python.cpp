// Python source: what runs when somebody imports, loads or starts a file of a repository. A
// hypothesis of every text; what it finds holds under names that are run as Python. See README.md.
#include "scanner/code/python/analyse.hpp"
#include "scanner/code/python/ast.hpp"
#include "scanner/code/python/identifier.hpp"
#include "scanner/code/python/rules.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/words.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::size_t k_step = std::size_t{256} << 10;

// Words without which a text can't do anything: a call needs a name that leads somewhere.
constexpr std::array<std::string_view, 9> k_words{
    "import", "exec", "eval", "__", "open", "getattr", "compile", "globals", "breakpoint"};

bool can_act(std::string_view text) {
  static const WordStarts starts = [] {
    WordStarts out;
    for (const std::string_view word: k_words)
      out.add(word);
    return out;
  }();
  for (std::size_t at = starts.next(text, 0); at != text.npos; at = starts.next(text, at + 1))
    if (std::any_of(k_words.begin(), k_words.end(),
                    [&](std::string_view word) { return text.substr(at, word.size()) == word; }))
      return true;
  return false;
}

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  if (head.empty() || head.find('\0') != std::string_view::npos) return Claim::no;
  const auto controls = std::count_if(head.begin(), head.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f';
  });
  return static_cast<std::size_t>(controls) > head.size() / 32 + 2 ? Claim::no : Claim::maybe;
}

// PEP 263: a comment in the first two lines names the encoding.
std::string encoding_of(std::string_view text) {
  for (int line = 0; line < 2; ++line) {
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    const std::string_view first = text.substr(0, end);
    const std::size_t hash = first.find_first_not_of(" \t\f\xef\xbb\xbf");
    if (hash == std::string_view::npos || first[hash] != '#') {
      if (hash != std::string_view::npos) return {};
    } else if (const std::size_t at = first.find("coding"); at != std::string_view::npos) {
      std::size_t begin = at + 6;
      if (begin < first.size() && (first[begin] == ':' || first[begin] == '=')) {
        begin = std::min(first.find_first_not_of(" \t", begin + 1), first.size());
        std::string name;
        for (; begin < first.size(); ++begin) {
          const char c = first[begin];
          if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.')
            name += c;
          else if (c >= 'A' && c <= 'Z')
            name += static_cast<char>(c | 0x20);
          else if (c != '-' && c != '_')
            break;
        }
        return name;
      }
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

// Encodings that turn ASCII into something else: what the file shows is not what runs.
bool transforms(std::string_view encoding) {
  for (const std::string_view name:
       {"utf7", "unicodeescape", "rawunicodeescape", "rot13", "hex", "base64", "zlib", "bz2",
        "utf16", "utf32", "punycode", "idna", "uu", "quopri"})
    if (encoding == name || encoding == std::string(name) + "codec") return true;
  return false;
}

// The lexer's view of \n, \x0a and \u000a under unicode_escape.
std::string unescape_source(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 >= text.size()) {
      out += text[i];
      continue;
    }
    const char c = text[++i];
    const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (c == 'n' || c == 'r' || c == 't') {
      out += c == 't' ? '\t' : '\n';
    } else if (digits > 0 && i + digits < text.size()) {
      std::uint32_t value = 0;
      for (std::size_t n = 1; n <= digits; ++n) {
        const char d = text[i + n];
        value = value * 16 + static_cast<std::uint32_t>(d <= '9' ? d - '0' : (d | 0x20) - 'a' + 10);
      }
      out += value < 0x80 ? static_cast<char>(value) : '?';
      i += digits;
    } else {
      out += '\\';
      out += c;
    }
  }
  return out;
}

Reading scan(Source& source, Session& session) {
  std::string text;
  bool cut = false;
  for (Bytes piece = source.some(0, k_step); !piece.empty();
       piece = source.some(text.size(), k_step)) {
    if (as_text(piece).find('\0') != std::string_view::npos) return Reading::none;
    if (text.size() + piece.size() > python::k_max_text) {
      cut = true;
      break;
    }
    text += as_text(piece);
  }
  if (!cut && !can_act(text) && python::is_ascii(text)) return Reading::none;

  const bool script =
      text.starts_with("#!") && text.substr(0, text.find('\n')).find("python") != std::string::npos;
  python::Unit unit;
  unit.condition = script ? std::string_view{} : python::k_python_names;
  unit.describe = true;
  if (cut) {
    session.gap(Reason::budget, Reach::load, text.size(), "more code than is analysed",
                python::k_python_names);
    return Reading::none;
  }
  const std::string encoding = encoding_of(text);
  const bool transformed = transforms(encoding);
  if (transformed) {
    session.find(python::rule(python::R::hidden_source), 0, 0,
                 "the source is written in the encoding " + encoding,
                 {.condition = unit.condition});
    if (encoding.find("unicodeescape") != std::string::npos) {
      const std::string inner = unescape_source(text);
      python::Unit hidden = unit;
      hidden.verbatim = false;
      hidden.title = "after decoding";
      python::analyse_python(inner, hidden, session);
    }
  }
  const python::Summary summary = python::analyse_python(text, unit, session);
  if (!summary.python) return transformed ? Reading::broken : Reading::none;
  return Reading::valid;
}

} // namespace

extern const Format format_python;
const Format format_python{.name = "python",
                           .family = "text",
                           .probe = probe,
                           .scan = scan,
                           .rules = python::python_rules(),
                           .data_version = "python-5",
                           .weak = true};

} // namespace hubgate
