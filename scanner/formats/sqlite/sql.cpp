#include "scanner/formats/sqlite/sql.hpp"

#include <algorithm>
#include <array>

namespace hubgate::sqlite {
namespace {

// Functions of SQLite and of the extensions of its shell that touch files, memory or code.
constexpr std::array<std::string_view, 12> k_functions{
    "load_extension", "fts3_tokenizer", "readfile",      "writefile",     "edit",   "lsdir",
    "fsdir",          "zipfile",        "sqlite_dbpage", "sqlite_dbdata", "system", "eval"};

// Modules of virtual tables that read or run something outside of the database.
constexpr std::array<std::string_view, 10> k_modules{
    "csv",          "fsdir",     "zipfile",       "vsv",       "virtualtext",
    "virtualshape", "virtualxl", "sqlite_dbpage", "unionvtab", "lua"};

// Shadow tables of FTS3/4: triggers that write them bend the structures that SQLite trusts.
constexpr std::array<std::string_view, 3> k_shadows{"_segdir", "_segments", "_stat"};

struct Token {
  std::string text; ///< lower case, without quotes
  bool word = false;
};

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '$' || (static_cast<unsigned char>(c) & 0x80) != 0;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c: out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

class Lexer {
public:
  explicit Lexer(std::string_view sql) : sql_(sql) {}

  // The next token; texts in single quotes are one token that is no word.
  std::optional<Token> next() {
    skip_blanks();
    if (at_ >= sql_.size()) return std::nullopt;
    const char c = sql_[at_];
    if (is_word(c)) {
      const std::size_t begin = at_;
      while (at_ < sql_.size() && is_word(sql_[at_]))
        ++at_;
      return Token{lower(sql_.substr(begin, at_ - begin)), true};
    }
    if (c == '"' || c == '`' || c == '[' || c == '\'') {
      const char end = c == '[' ? ']' : c;
      const std::size_t begin = ++at_;
      const std::size_t close = std::min(sql_.find(end, begin), sql_.size());
      at_ = close < sql_.size() ? close + 1 : close;
      return Token{lower(sql_.substr(begin, close - begin)), c != '\''};
    }
    ++at_;
    return Token{std::string(1, c), false};
  }

private:
  void skip_blanks() {
    for (;;) {
      while (at_ < sql_.size() && static_cast<unsigned char>(sql_[at_]) <= ' ')
        ++at_;
      const std::string_view rest = sql_.substr(std::min(at_, sql_.size()));
      if (rest.starts_with("--"))
        at_ = std::min(sql_.find('\n', at_), sql_.size());
      else if (rest.starts_with("/*"))
        at_ = std::min(sql_.find("*/", at_ + 2), sql_.size() - 2) + 2;
      else
        return;
    }
  }

  std::string_view sql_;
  std::size_t at_ = 0;
};

template <std::size_t N>
bool has(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_shadow(std::string_view name) {
  return std::any_of(k_shadows.begin(), k_shadows.end(),
                     [&](std::string_view end) { return name.ends_with(end); });
}

} // namespace

std::optional<std::string> reaches_out(std::string_view sql) {
  Lexer lexer(sql);
  Token before;
  Token second; // before that
  bool first = true;
  bool trigger = false;
  bool virtual_table = false;
  for (auto token = lexer.next(); token; token = lexer.next()) {
    if (first && token->text != "create")
      return "a statement that is no definition: " + std::string(sql.substr(0, 200));
    const bool statement = first || before.text == ";" || (trigger && before.text == "begin");
    first = false;
    if (token->text == "trigger" && before.word) trigger = true;
    if (token->text == "table" && before.text == "virtual") virtual_table = true;
    if (token->text == "(" && before.word && has(k_functions, before.text) &&
        second.text != "table" && second.text != "into" && second.text != "exists" &&
        second.text != "on" && second.text != "references")
      return before.text + "()";
    if (virtual_table && before.text == "using" && has(k_modules, token->text))
      return "a virtual table over " + token->text;
    if (statement && token->word &&
        (token->text == "attach" || token->text == "pragma" || token->text == "detach"))
      return token->text;
    if (trigger && token->word && (before.text == "into" || before.text == "update") &&
        (is_shadow(token->text) || token->text == "sqlite_master" ||
         token->text == "sqlite_schema"))
      return "a trigger that writes " + token->text;
    second = before;
    before = std::move(*token);
  }
  return std::nullopt;
}

} // namespace hubgate::sqlite
