#include "scanner/formats/settings/settings_reader.hpp"

#include <algorithm>

namespace hubgate::settings {
namespace {

constexpr std::size_t k_max_value = std::size_t{64} << 10;
constexpr std::size_t k_max_read_again = std::size_t{1} << 20;
constexpr unsigned k_max_nesting = 4; ///< of inline tables
constexpr std::string_view k_blank = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(k_blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(k_blank) - first + 1);
}

// A section's name or a key as dotted parts: `filter "x"` and "filter.x" are the same.
std::string path_of(std::string_view text) {
  std::string out;
  for (const char c: text) {
    if (c == '"' || c == '\'') continue;
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    if (lower == ' ' || lower == '\t') {
      if (!out.empty() && out.back() != '.') out += '.';
      continue;
    }
    if (lower == '.' && !out.empty() && out.back() == '.') continue;
    out += lower;
  }
  while (!out.empty() && out.back() == '.')
    out.pop_back();
  return out;
}

bool is_key(std::string_view text) {
  return !text.empty() && text.size() <= 200 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '"' || c == '\'' || c == ' ' || c == ':' || c == '@' ||
           c == '/' || c == '*';
  });
}

// Where the first '=' or, of configparser, ':' ends the key.
std::size_t separator(std::string_view line) {
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '=' || (c == ':' && i + 1 < line.size() && line[i + 1] == ' ')) {
      return i;
    }
  }
  return std::string_view::npos;
}

// Depth of brackets and braces that `text` leaves open, quotes skipped.
int open_brackets(std::string_view text) {
  int depth = 0;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == '\\' && quote == '"')
        ++i;
      else if (c == quote)
        quote = 0;
      continue;
    }
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size());
      continue;
    }
    if (c == '"' || c == '\'') quote = c;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
  }
  return depth;
}

class Reader {
public:
  Reader(std::string_view text, Listener& listener) : text_(text), listener_(listener) {}
  std::size_t run();

private:
  std::string_view next_line();
  void setting(const std::string& path, std::string_view value, std::uint64_t offset,
               unsigned nesting);
  void elements(const std::string& path, std::string_view inner, bool table, std::uint64_t offset,
                unsigned nesting);
  void flush();

  std::string_view text_;
  Listener& listener_;
  std::size_t at_ = 0;
  std::string section_;
  std::string path_;  ///< of the value that may go on
  std::string value_; ///< of configparser, with the lines that continued it
  std::uint64_t begin_ = 0;
  bool continued_ = false;
  std::size_t seen_ = 0;
  std::size_t read_again_ = 0; ///< bytes of lists that were never closed
};

std::string_view Reader::next_line() {
  const std::size_t end = std::min(text_.find('\n', at_), text_.size());
  const std::string_view line = text_.substr(at_, end - at_);
  at_ = end + 1;
  return line;
}

// Elements of a list, or pairs of an inline table.
void Reader::elements(const std::string& path, std::string_view inner, bool table,
                      std::uint64_t offset, unsigned nesting) {
  const auto element = [&](std::string_view text) {
    text = trimmed(text);
    while (!text.empty() && (text.front() == '\n' || text.front() == '#')) {
      // A comment stands before the element.
      const std::size_t end = text.front() == '#' ? std::min(text.find('\n'), text.size()) : 0;
      text = trimmed(text.substr(std::min(end + 1, text.size())));
    }
    if (text.empty()) return;
    if (!table) {
      setting(path, text, offset, nesting);
      return;
    }
    const std::size_t equals = separator(text);
    if (equals == std::string_view::npos) return;
    setting(path + '.' + path_of(trimmed(text.substr(0, equals))), text.substr(equals + 1), offset,
            nesting);
  };
  int depth = 0;
  char quote = 0;
  std::size_t from = 0;
  for (std::size_t i = 0; i < inner.size(); ++i) {
    const char c = inner[i];
    if (quote != 0) {
      if (c == '\\' && quote == '"')
        ++i;
      else if (c == quote)
        quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '#') {
      i = std::min(inner.find('\n', i), inner.size());
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == ',' && depth == 0) {
      element(inner.substr(from, i - from));
      from = i + 1;
    }
  }
  element(inner.substr(std::min(from, inner.size())));
}

void Reader::setting(const std::string& path, std::string_view value, std::uint64_t offset,
                     unsigned nesting) {
  value = trimmed(value);
  if (value.size() >= 2 && nesting < k_max_nesting &&
      ((value.front() == '[' && value.back() == ']') ||
       (value.front() == '{' && value.back() == '}'))) {
    elements(path, value.substr(1, value.size() - 2), value.front() == '{', offset, nesting + 1);
    return;
  }
  std::string text;
  for (const std::string_view fence: {"\"\"\"", "'''"})
    if (value.size() >= 6 && value.starts_with(fence) && value.ends_with(fence))
      value = value.substr(2, value.size() - 4);
  if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'')) {
    // Up to the closing quote: a comment may follow.
    const char quote = value.front();
    std::size_t end = 1;
    for (; end < value.size() && value[end] != quote; ++end) {
      if (value[end] == '\\' && quote == '"' && end + 1 < value.size()) ++end;
      text += value[end];
    }
    // Git goes on behind a quote: "a"b is ab.
    if (end + 1 < value.size() && value[end + 1] != ' ' && value[end + 1] != '\t')
      text += value.substr(end + 1);
  } else {
    text = value;
    if (const std::size_t comment = text.find(" #"); comment != std::string::npos)
      text.resize(comment);
    text = trimmed(text);
  }
  if (!text.empty()) listener_.on_setting(path, text, offset);
}

void Reader::flush() {
  if (continued_) setting(path_, value_, begin_, 0);
  path_.clear();
  value_.clear();
  continued_ = false;
}

std::size_t Reader::run() {
  if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;
  while (at_ < text_.size()) {
    const std::uint64_t offset = at_;
    const std::string_view raw = next_line();
    const std::string_view line = trimmed(raw);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    const bool indented = raw.front() == ' ' || raw.front() == '\t';
    if (line.front() == '[') {
      const std::size_t end = line.rfind(']');
      if (end != std::string_view::npos) {
        flush();
        const std::string_view name = line.substr(1, end - 1);
        section_ = path_of(name.starts_with('[') ? name.substr(1, name.find(']') - 1) : name);
        ++seen_;
        continue;
      }
    }
    const std::size_t equals = separator(line);
    const bool keyed = equals != std::string_view::npos && is_key(trimmed(line.substr(0, equals)));
    if (indented && !path_.empty() && value_.size() < k_max_value) {
      // Python's configparser goes on with the value; so does one that began with a '['.
      if (!value_.empty()) value_ += '\n';
      value_ += line;
      continued_ = true;
    }
    if (!keyed) {
      if (!indented) flush();
      continue;
    }
    if (!indented) flush();
    ++seen_;
    std::string path = section_;
    if (!path.empty()) path += '.';
    path += path_of(trimmed(line.substr(0, equals)));
    std::string value(trimmed(line.substr(equals + 1)));
    // TOML: a list, a table or a text over several lines. Git: a backslash at the end.
    for (const std::string_view fence: {"\"\"\"", "'''"}) {
      bool open = value.starts_with(fence) && value.find(fence, 3) == std::string::npos;
      while (open && at_ < text_.size() && value.size() < k_max_value) {
        const std::string_view more = next_line();
        value += '\n';
        value += more;
        open = more.find(fence) == std::string_view::npos;
      }
    }
    if ((value.starts_with('[') || value.starts_with('{')) && read_again_ < k_max_read_again) {
      const std::size_t before = at_;
      const std::string first = value;
      int depth = open_brackets(value);
      while (depth > 0 && at_ < text_.size() && value.size() < k_max_value) {
        const std::string_view more = next_line();
        value += '\n';
        value += more;
        depth += open_brackets(more);
      }
      // Never closed: it was no list.
      if (depth > 0) {
        read_again_ += at_ - before;
        at_ = before;
        value = first;
      } else if (const std::size_t last = value.find_last_of("]}"); last != std::string::npos) {
        value.resize(last + 1);
      }
    }
    while (value.ends_with('\\') && at_ < text_.size() && value.size() < k_max_value) {
      value.pop_back();
      value += trimmed(next_line());
    }
    setting(path, value, offset, 0);
    if (!indented) {
      path_ = std::move(path);
      value_ = std::move(value);
      begin_ = offset;
      continued_ = false;
    }
  }
  flush();
  return seen_;
}

} // namespace

std::size_t read_settings(std::string_view text, Listener& listener) {
  return Reader(text, listener).run();
}

} // namespace hubgate::settings
