// Tables as text: comma, tab, semicolon or bar between cells (RFC 4180 and its relatives). Readers
// of datasets take cells as they are; spreadsheets run those that begin like a formula. See
// README.md.
#include "scanner/config/paths.hpp"
#include "scanner/config/rules.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

namespace hubgate {
namespace {

constexpr std::size_t k_step = std::size_t{256} << 10;
constexpr std::size_t k_cell = 1024; ///< what is looked at of a cell; a formula shows itself early
constexpr std::size_t k_told = 20;   ///< findings of one file
constexpr std::string_view k_names = "*.csv|*.tsv|*.tab|*.psv|*.csv.gz|*.tsv.gz|*.csv.zip|*.dif";

constexpr std::array<Rule, 2> k_rules{{
    {"csv-formula-command", "dangerous-call", Severity::suspicious, Reach::load, "CWE-1236",
     "AML.T0010.002", "DAT-012", "a cell is a formula that starts a program through DDE"},
    {"csv-formula-network", "dangerous-call", Severity::suspicious, Reach::load, "CWE-1236",
     "AML.T0010.002", "DAT-012",
     "a cell is a formula that sends cells to an address, or takes a link's text from it"},
}};

const Rule& k_command = k_rules[0];
const Rule& k_network = k_rules[1];

// Functions that reach out, of the usual spreadsheets.
constexpr std::array<std::string_view, 10> k_network_functions{
    "hyperlink",  "webservice",  "importxml", "importdata", "importhtml",
    "importfeed", "importrange", "image",     "filterxml",  "rtd"};
constexpr std::array<std::string_view, 7> k_command_functions{
    "dde", "call", "register", "register.id", "exec", "shell", "ddeauto"};
// Programs that such formulas name before the bar.
constexpr std::array<std::string_view, 12> k_programs{
    "cmd",   "powershell", "pwsh",    "msexcel",  "mshta",   "rundll32",
    "excel", "regsvr32",   "wscript", "certutil", "msiexec", "bash"};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

template <std::size_t N>
bool has(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// `cell` begins with one of = + - @ and ends with its cell or line. Numbers, words behind a dash
// and mentions (@name) are none of these.
const Rule* formula(std::string_view cell) {
  std::string text(cell);
  std::transform(text.begin(), text.end(), text.begin(), lower);
  for (std::size_t at = 1; at < text.size(); ++at) {
    if (text[at] != '(' && text[at] != '|') continue;
    std::size_t begin = at;
    while (begin > 1 && is_name(text[begin - 1]))
      --begin;
    std::string_view name = std::string_view(text).substr(begin, at - begin);
    if (name.ends_with(".exe")) name.remove_suffix(4);
    if (text[at] == '|') {
      // Program|'arguments'!cell, or without quotes.
      const std::string_view rest = std::string_view(text).substr(at + 1);
      const std::size_t first = rest.find_first_not_of(' ');
      if (first == std::string_view::npos || name.empty()) continue;
      const bool quoted =
          rest[first] == '\'' && rest.find("'!", first + 1) != std::string_view::npos;
      if (has(k_programs, name) || quoted) return &k_command;
      continue;
    }
    // A function of a formula: = or an operator stands before it, and it has an argument.
    std::size_t operand = begin - 1;
    while (operand > 0 && text[operand] == ' ')
      --operand;
    const char before = text[operand];
    if (std::string_view("=+-@(,;*/&^").find(before) == std::string_view::npos) continue;
    if (has(k_command_functions, name) && text[0] == '=') return &k_command;
    if (has(k_network_functions, name) && (text[0] == '=' || begin == 1)) return &k_network;
  }
  return nullptr;
}

constexpr std::string_view k_delimiters = ",\t;|";

// What a character is to those who look for cells.
enum : std::uint8_t {
  k_binary = 1,     ///< in no text
  k_begins = 2,     ///< a formula begins with it
  k_structural = 4, ///< ends a line, quotes, or stands between cells
};
constexpr std::array<std::uint8_t, 256> k_roles = [] {
  std::array<std::uint8_t, 256> out{};
  for (std::size_t c = 0; c < 9; ++c)
    out[c] = k_binary;
  for (const char c: std::string_view("=+-@"))
    out[static_cast<unsigned char>(c)] = k_begins;
  for (const char c: std::string_view("\",\t;|\n"))
    out[static_cast<unsigned char>(c)] |= k_structural;
  return out;
}();

std::uint8_t role_of(char c) {
  return k_roles[static_cast<unsigned char>(c)];
}

// Whether the first lines have the same number of cells, two at least.
bool is_table(std::string_view head, bool whole) {
  std::array<std::size_t, k_delimiters.size()> cells{};
  std::array<std::size_t, k_delimiters.size()> expected{};
  std::array<bool, k_delimiters.size()> same{true, true, true, true};
  std::size_t lines = 0;
  bool quoted = false;
  for (const char c: head) {
    if ((role_of(c) & k_structural) == 0) continue;
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (const std::size_t which = k_delimiters.find(c); which != k_delimiters.npos) ++cells[which];
    if (c != '\n') continue;
    if (lines == 0) expected = cells;
    for (std::size_t i = 0; i < cells.size(); ++i)
      same[i] = same[i] && cells[i] == expected[i];
    cells.fill(0);
    if (++lines == 20) break;
  }
  if (lines < (whole ? 2 : 3)) return false;
  for (std::size_t i = 0; i < cells.size(); ++i)
    if (same[i] && expected[i] > 0) return true;
  return false;
}

// Columns whose cells somebody's reader opens as files.
constexpr std::array<std::string_view, 20> k_path_columns{
    "img_path", "image_path", "image",      "img",        "file_name",
    "filename", "file_path",  "filepath",   "file",       "path",
    "audio",    "audio_path", "audio_file", "wav_path",   "video_path",
    "video",    "mask_path",  "label_path", "image_file", "document_path"};

// What each of them contains: most first lines are left at a glance.
constexpr std::array<std::string_view, 6> k_path_words{"path", "file",  "image",
                                                       "img",  "audio", "video"};

constexpr bool has_path_word(std::string_view name) {
  return std::any_of(k_path_words.begin(), k_path_words.end(), [&](std::string_view word) {
    return name.find(word) != std::string_view::npos;
  });
}
static_assert(std::all_of(k_path_columns.begin(), k_path_columns.end(), has_path_word));

bool may_name_paths(std::string_view header) {
  std::string name(header);
  std::erase_if(name, [](char c) { return c == '"' || c == ' '; });
  std::transform(name.begin(), name.end(), name.begin(), lower);
  return has_path_word(name);
}

// As annotations in JSON are judged (scanner/config): nobody climbs three folders. The addresses of
// clouds that tell a machine's own credentials are no picture.
bool leaves(std::string_view cell) {
  const config::PathFacts facts = config::judge_path(cell);
  if (facts.kind == config::PathKind::url)
    return cell.find("//169.254.169.254/") != std::string_view::npos ||
           cell.find("//metadata.google.internal/") != std::string_view::npos ||
           cell.find("//100.100.100.200/") != std::string_view::npos;
  return facts.climbs >= 3 || facts.sensitive;
}

// The cells of path columns, while the table passes character by character.
class PathColumns {
public:
  explicit PathColumns(std::string_view header) {
    header = header.substr(0, header.find_first_of("\r\n"));
    if (header.starts_with("\xef\xbb\xbf")) header.remove_prefix(3);
    if (!may_name_paths(header)) return;
    for (const char delimiter: {',', '\t', ';', '|'}) {
      std::vector<bool> columns;
      bool any = false;
      for (std::size_t at = 0; at <= header.size() && columns.size() < k_most;) {
        const std::size_t end = std::min(header.find(delimiter, at), header.size());
        std::string name(header.substr(at, end - at));
        std::erase_if(name, [](char c) { return c == '"' || c == ' '; });
        std::transform(name.begin(), name.end(), name.begin(), lower);
        columns.push_back(has(k_path_columns, name));
        any = any || columns.back();
        at = end + 1;
      }
      if (!any || columns.size() < columns_.size()) continue;
      columns_ = std::move(columns);
      delimiter_ = delimiter;
    }
  }

  /// The next character; true when a cell ended that leads somewhere else: see cell().
  bool feed(char c) {
    if (columns_.empty()) return false;
    if (c == '"') quoted_ = !quoted_;
    const bool line = !quoted_ && (c == '\n' || c == '\r');
    if ((quoted_ || c != delimiter_) && !line) {
      if (c != '"' && cell_.size() < k_cell && column_ < columns_.size() && columns_[column_])
        cell_ += c;
      return false;
    }
    ended_ = std::move(cell_);
    cell_.clear();
    column_ = line ? 0 : column_ + 1;
    return !ended_.empty() && leaves(ended_);
  }
  const std::string& cell() const { return ended_; }
  /// False: no column is one, and no cell needs to be fed.
  bool any() const { return !columns_.empty(); }

private:
  static constexpr std::size_t k_most = 1000;
  std::vector<bool> columns_; ///< empty: there is no such column
  char delimiter_ = ',';
  std::size_t column_ = 0;
  bool quoted_ = false;
  std::string cell_;
  std::string ended_;
};

Claim probe(const Probe& probe) {
  const auto is_binary = [](std::uint8_t c) { return c < 0x20 && (c < 9 || c > 13); };
  if (probe.head.empty() || std::any_of(probe.head.begin(), probe.head.end(), is_binary))
    return Claim::no;
  return Claim::maybe;
}

Reading scan(Source& source, Session& session) {
  bool table = false;
  PathColumns paths{""};
  {
    const Bytes head = source.view(0, Probe::k_head);
    table = is_table(as_text(head), head.size() < Probe::k_head);
    paths = PathColumns(as_text(head));
  }
  struct Hit {
    const Rule* rule;
    std::uint64_t at;
    std::string cell;
  };
  std::vector<Hit> hits;
  const bool watched = paths.any();
  char before = '\n';
  for (std::uint64_t at = 0;;) {
    const std::string_view window = as_text(source.view(at, k_step + k_cell));
    if (window.empty()) break;
    const std::size_t end = std::min(window.size(), k_step);
    for (std::size_t i = 0; i < end; ++i) {
      const char c = window[i];
      const std::uint8_t role = role_of(c);
      if (role == k_binary) return Reading::none; // no text
      const bool begins =
          role == k_begins && (before == ',' || before == ';' || before == '|' || before == '\t' ||
                               before == '\n' || before == '\r' || before == '"');
      if (begins && hits.size() < k_told) {
        std::string_view cell = window.substr(i, k_cell);
        cell = cell.substr(0, cell.find_first_of("\r\n"));
        if (const Rule* const rule = formula(cell))
          hits.push_back({rule, at + i, std::string(cell.substr(0, 300))});
      }
      if (watched && paths.feed(c) && hits.size() < k_told)
        hits.push_back({&config::k_annotation_path, at + i, paths.cell()});
      if (c != ' ') before = c; // blanks before a formula are skipped by some
    }
    at += end;
    if (!session.budget().time_left()) break; // the reading as text says so
  }
  if (paths.feed('\n') && hits.size() < k_told)
    hits.push_back({&config::k_annotation_path, 0, paths.cell()});
  if (!table && hits.empty()) return Reading::none;
  for (const Hit& hit: hits)
    session.find(*hit.rule, hit.at, hit.cell.size(), hit.cell, {.condition = k_names});
  return Reading::valid;
}

} // namespace

extern const Format format_csv;
const Format format_csv{
    .name = "csv", .family = "text", .probe = probe, .scan = scan, .rules = k_rules, .weak = true};

} // namespace hubgate
