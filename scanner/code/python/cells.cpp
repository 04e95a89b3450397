#include "scanner/code/python/cells.hpp"

#include "scanner/core/json.hpp"

#include <algorithm>
#include <array>

namespace hubgate::python {
namespace {

bool one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
}

void quote(std::string& out, std::string_view text) {
  static constexpr std::string_view k_digits = "0123456789abcdef";
  out += '\'';
  for (const char c: text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\'' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += "\\x";
      out += k_digits[byte >> 4];
      out += k_digits[byte & 15];
    } else {
      out += c;
    }
  }
  out += '\'';
}

std::string call(std::string_view callee, std::string_view argument) {
  std::string out(callee);
  out += '(';
  quote(out, argument);
  return out + ")\n";
}

// "bash x.sh", "python3 run.py --fast", "./x": one program that is a file of the notebook's folder.
bool starts_a_file(std::string_view command) {
  if (command.find_first_of("|&;<>`$\n\"'") != std::string_view::npos) return false;
  const std::string_view first = command.substr(0, command.find(' '));
  if (first.starts_with("./")) return true;
  if (!one_of(first, {"bash", "sh", "python", "python3", "source", "perl"})) return false;
  const std::string_view rest = trimmed(command.substr(first.size()));
  return !rest.empty() && rest.front() != '-';
}

bool is_around_code(std::string_view magic) {
  return one_of(magic, {"time", "timeit", "capture", "prun", "python", "python3", "debug"});
}

/// Writes one cell.
class Cell {
public:
  Cell(std::string_view source, std::string& code, const CellParts& parts)
      : source_(source), code_(code), parts_(parts) {}

  void run() {
    // "%%time" before another magic or code, as often as one likes.
    for (;;) {
      const std::size_t start = std::min(source_.find_first_not_of(" \t\r\n"), source_.size());
      if (source_.substr(start, 2) != "%%") return lines();
      const std::size_t end = std::min(source_.find('\n', start), source_.size());
      const std::string_view head = source_.substr(start + 2, end - start - 2);
      if (!is_around_code(trimmed(head.substr(0, head.find(' '))))) return magic(start + 2);
      source_.remove_prefix(end);
    }
  }

private:
  void command(std::string_view text) {
    if (parts_.command) parts_.command(text);
  }

  // "%%bash", "%%writefile x.py": the whole cell.
  void magic(std::size_t at) {
    const std::size_t end = std::min(source_.find('\n', at), source_.size());
    const std::string_view head = source_.substr(at, end - at);
    const std::string_view word = trimmed(head.substr(0, head.find(' ')));
    const std::string_view body = source_.substr(std::min(end + 1, source_.size()));
    if (one_of(word, {"bash", "sh", "script", "cmd", "powershell", "system", "sx", "!"})) {
      command(body);
    } else if (one_of(word, {"writefile", "file"})) {
      std::string_view name = trimmed(head.substr(word.size()));
      const bool appended = name.starts_with("-a ");
      if (appended) name = trimmed(name.substr(3));
      code_ += "open(";
      quote(code_, name);
      code_ += appended ? ", 'a').write(" : ", 'w').write(";
      quote(code_, body);
      code_ += ")\n";
      if (parts_.other) parts_.other(word, source_.substr(at));
    } else if (parts_.other) {
      parts_.other(word, body);
    }
  }

  void indent(std::size_t count) { code_.append(count, ' '); }

  // "!command", "%magic", "x = !command", "?help" among Python.
  void lines() {
    for (std::size_t at = 0; at < source_.size();) {
      std::size_t end = std::min(source_.find('\n', at), source_.size());
      const std::string_view line = source_.substr(at, end - at);
      const std::size_t first = std::min(line.find_first_not_of(" \t"), line.size());
      const char c = first < line.size() ? line[first] : '\0';
      const std::size_t assigned = line.find("= !");
      const std::string_view rest = line.substr(first);
      const bool magic = c == '%' && (rest.starts_with("%sx ") || rest.starts_with("%system ") ||
                                      rest.starts_with("%pip"));
      if (c == '!' || assigned != std::string_view::npos || magic) {
        const std::size_t skipped =
            assigned != std::string_view::npos && c != '!' ? assigned + 3 : first + 1;
        std::string text(line.substr(skipped));
        for (const std::string_view word: {"sx ", "system "})
          if (c == '%' && text.starts_with(word)) text.erase(0, word.size());
        while (!text.empty() && text.back() == '\\' && end < source_.size()) {
          const std::size_t next = std::min(source_.find('\n', end + 1), source_.size());
          text.pop_back();
          text += source_.substr(end + 1, next - end - 1);
          end = next;
        }
        command(text);
        indent(first);
        const std::string_view plain = trimmed(text);
        code_ += c == '!' && starts_a_file(plain) ? call("get_ipython().system", plain) : "pass\n";
      } else if (rest.starts_with("%run ") && rest.find(".py") != std::string_view::npos) {
        std::string_view file = trimmed(rest.substr(5));
        while (file.starts_with('-'))
          file = trimmed(file.substr(std::min(file.find(' '), file.size())));
        indent(first);
        code_ += call("__import__('runpy').run_path", file.substr(0, file.find(' ')));
      } else if (c == '%' || c == '?' || (!line.empty() && line.back() == '?')) {
        indent(first);
        code_ += "pass\n";
      } else {
        code_ += line;
        code_ += '\n';
      }
      at = end + 1;
    }
  }

  std::string_view source_;
  std::string& code_;
  const CellParts& parts_;
};

/// Reads the cells of a notebook.
class Cells {
public:
  Cells(Source& source, std::uint64_t size, std::size_t most)
      : reader_(source, 0, size, {.dialect = JsonOptions::Dialect::python}), most_(most) {}

  std::string run() {
    if (reader_.next() != JsonEvent::object_begin) return {};
    std::string kind;
    std::string source;
    for (;;) {
      const JsonEvent event = reader_.next();
      if (event == JsonEvent::error || event == JsonEvent::end) break;
      if (event == JsonEvent::object_end && cell_ != 0 && reader_.depth() < cell_) {
        if (kind == "code" && code_.size() + source.size() <= most_) append_cell(source, code_, {});
        kind.clear();
        source.clear();
        cell_ = 0;
      }
      if (event != JsonEvent::key) continue;
      const std::string& key = reader_.text();
      if (key == "cell_type") {
        cell_ = reader_.depth();
        if (!text(kind)) break;
      } else if (key == "source" || key == "input") {
        cell_ = reader_.depth();
        if (!text(source)) break;
      } else if (key == "outputs" || key == "metadata") {
        if (!reader_.skip_value()) break;
      }
    }
    return std::move(code_);
  }

private:
  // A string, or a list of strings.
  bool text(std::string& out) {
    out.clear();
    const auto add = [&] {
      if (out.size() + reader_.text().size() <= most_) out += reader_.text();
    };
    JsonEvent event = reader_.next();
    if (event == JsonEvent::string) add();
    if (event != JsonEvent::array_begin) return event != JsonEvent::error;
    const std::size_t depth = reader_.depth();
    for (event = reader_.next(); event != JsonEvent::error && event != JsonEvent::end;
         event = reader_.next()) {
      if (event == JsonEvent::string) add();
      if (event == JsonEvent::array_end && reader_.depth() < depth) return true;
    }
    return false;
  }

  JsonReader reader_;
  std::size_t most_;
  std::size_t cell_ = 0; ///< depth inside of the cell that is read
  std::string code_;
};

} // namespace

void append_cell(std::string_view source, std::string& code, const CellParts& parts) {
  Cell(source, code, parts).run();
}

std::string notebook_code(Bytes json, std::size_t most) {
  MemorySource source(json);
  return Cells(source, json.size(), most).run();
}

std::string path_file_code(std::string_view text) {
  std::string out(text);
  for (std::size_t at = 0; at < out.size();) {
    const std::size_t end = std::min(out.find('\n', at), out.size());
    const std::string_view line = std::string_view(out).substr(at, end - at);
    if (!line.starts_with("import ") && !line.starts_with("import\t"))
      std::fill(out.begin() + static_cast<std::ptrdiff_t>(at),
                out.begin() + static_cast<std::ptrdiff_t>(end), ' ');
    at = end + 1;
  }
  return out;
}

} // namespace hubgate::python
