// Compiling, in the gate: the files are the organisation's own, and may be wrong.
#include "scanner/core/digest.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/yara/facts.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace hubgate::yara {
namespace {

constexpr std::size_t k_compiled_max = std::size_t{256} << 20;
constexpr std::size_t k_space_max = 60;

using Compiler = std::unique_ptr<YR_COMPILER, void (*)(YR_COMPILER*)>;
using Linked = std::unique_ptr<YR_RULES, int (*)(YR_RULES*)>;

void on_problem(int level, const char* file, int line, const YR_RULE* rule, const char* message,
                void* into) {
  std::string text;
  if (rule != nullptr && rule->identifier != nullptr)
    text = "rule " + printable(rule->identifier, 128) + ": ";
  static_cast<std::vector<Problem>*>(into)->push_back(
      {file == nullptr ? "" : file, line > 0 ? static_cast<std::size_t>(line) : 0,
       text + printable(message, 300), level == YARA_ERROR_LEVEL_WARNING});
}

Compiler new_compiler(std::vector<Problem>& problems) {
  YR_COMPILER* made = nullptr;
  if (yr_compiler_create(&made) != ERROR_SUCCESS) made = nullptr;
  if (made != nullptr) {
    yr_compiler_set_callback(made, on_problem, &problems);
    yr_compiler_set_include_callback(made, nullptr, nullptr, nullptr);
  }
  return {made, yr_compiler_destroy};
}

std::size_t append(const void* data, std::size_t size, std::size_t count, void* into) {
  auto& out = *static_cast<std::vector<std::uint8_t>*>(into);
  if (size != 0 && count > (k_compiled_max - std::min(out.size(), k_compiled_max)) / size) return 0;
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  out.insert(out.end(), bytes, bytes + size * count);
  return count;
}

bool has_error(const std::vector<Problem>& problems) {
  return std::any_of(problems.begin(), problems.end(),
                     [](const Problem& problem) { return !problem.warning; });
}

std::size_t line_at(std::string_view text, std::size_t at) {
  return 1 + static_cast<std::size_t>(
                 std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// The line where `word name` is written, and the name ends there; 0 when it is written otherwise.
std::size_t line_of(std::string_view text, std::string_view word, std::string_view name) {
  for (std::size_t at = text.find(name); at != std::string_view::npos;
       at = text.find(name, at + 1)) {
    const std::size_t behind = at + name.size();
    const char next = behind < text.size() ? text[behind] : ' ';
    if (!is_blank(next) && next != '{' && next != ':' && next != '"') continue;
    std::size_t before = at;
    while (before > 0 && (is_blank(text[before - 1]) || text[before - 1] == '"'))
      --before;
    if (before < at && text.substr(0, before).ends_with(word)) return line_at(text, at);
  }
  return 0;
}

// Where a rule or an import is written.
void locate(const std::vector<RuleFile>& files, std::string_view space, std::string_view word,
            std::string_view name, std::string& file, std::size_t& line) {
  for (const RuleFile& each: files) {
    if (!space.empty() && each.space != space) continue;
    const std::size_t found = line_of(each.text, word, name);
    if (found == 0) continue;
    file = each.name;
    line = found;
    return;
  }
}

// The modules that a scan would load: asked of libyara itself, by scanning nothing.
struct Imports {
  std::string refused;
};

int on_import(YR_SCAN_CONTEXT*, int message, void* data, void* into) {
  if (message != CALLBACK_MSG_IMPORT_MODULE) return CALLBACK_CONTINUE;
  const std::string_view name = static_cast<YR_MODULE_IMPORT*>(data)->module_name;
  if (allowed_module(name)) return CALLBACK_CONTINUE;
  static_cast<Imports*>(into)->refused = name;
  return CALLBACK_ERROR;
}

void check_modules(YR_RULES* rules, const std::vector<RuleFile>& files,
                   std::vector<Problem>& problems) {
  Imports imports;
  const std::uint8_t nothing = 0;
  (void)yr_rules_scan_mem(rules, &nothing, 0, SCAN_FLAGS_NO_TRYCATCH, on_import, &imports, 10);
  if (imports.refused.empty()) return;
  Problem problem{"", 0,
                  "the module '" + printable(imports.refused, 60) +
                      "' reads formats or files by itself, which hubgate does not let rules do: "
                      "hash, math and string are allowed"};
  locate(files, "", "import", imports.refused, problem.file, problem.line);
  problems.push_back(std::move(problem));
}

// One file with an error leaves its compiler unfit for the others, which are to be checked too.
Linked link(const std::vector<RuleFile>& files, std::vector<Problem>& problems) {
  Linked out(nullptr, yr_rules_destroy);
  Compiler compiler = new_compiler(problems);
  for (const RuleFile& file: files) {
    if (!compiler) break;
    if (file.text.find('\0') != std::string::npos) {
      problems.push_back({file.name, 0, "is no text"});
      continue;
    }
    if (file.text.empty()) continue;
    std::string text = file.text; // fmemopen wants to be able to write
    std::FILE* const stream = fmemopen(text.data(), text.size(), "r");
    const std::size_t before = problems.size();
    const int errors =
        stream == nullptr
            ? 1
            : yr_compiler_add_file(compiler.get(), stream, file.space.c_str(), file.name.c_str());
    if (stream != nullptr) std::fclose(stream);
    if (errors == 0) continue;
    if (!has_error({problems.begin() + static_cast<std::ptrdiff_t>(before), problems.end()}))
      problems.push_back({file.name, 0, "can't be compiled"});
    compiler = new_compiler(problems);
  }
  YR_RULES* linked = nullptr;
  if (!compiler || yr_compiler_get_rules(compiler.get(), &linked) != ERROR_SUCCESS) {
    problems.push_back({"", 0, "libyara has no memory for these rules"});
    return out;
  }
  out.reset(linked);
  return out;
}

} // namespace

std::string space_of(std::string_view file) {
  file.remove_prefix(file.rfind('/') + 1); // npos + 1 is 0
  std::string out(file.substr(0, std::min(file.rfind('.'), k_space_max)));
  for (char& c: out) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '-';
    if (!fine) c = '_';
  }
  return out.empty() ? "rules" : out;
}

std::unique_ptr<Compiled> compile(const std::vector<RuleFile>& files,
                                  std::vector<Problem>& problems) {
  const auto failed = [&](std::string_view what) {
    problems.push_back({"", 0, std::string(what)});
    return nullptr;
  };
  const Library library;
  if (!library.ready) return failed("libyara can't be started");
  const std::size_t before = problems.size();
  const auto bad = [&] {
    return has_error({problems.begin() + static_cast<std::ptrdiff_t>(before), problems.end()});
  };
  const Linked rules = link(files, problems);
  if (!rules) return nullptr;
  check_modules(rules.get(), files, problems);

  auto out = std::make_unique<Compiled>();
  YR_RULE* rule = nullptr;
  yr_rules_foreach(rules.get(), rule) {
    const std::size_t told = problems.size();
    RuleFacts facts = facts_of(rule, &problems);
    locate(files, rule->ns->name, "rule", rule->identifier, facts.file, facts.line);
    for (std::size_t i = told; i < problems.size(); ++i) {
      problems[i].file = facts.file;
      problems[i].line = facts.line;
    }
    if (!RULE_IS_PRIVATE(rule)) out->rules.push_back(std::move(facts));
  }
  if (bad()) return nullptr;
  YR_STREAM stream{&out->bytes, nullptr, append};
  if (yr_rules_save_stream(rules.get(), &stream) != ERROR_SUCCESS)
    return failed("these rules are more than 256 MiB when they are compiled");
  std::string all = YR_VERSION;
  for (const RuleFile& file: files)
    for (const std::string* part: {&file.space, &file.text}) {
      all += '\0';
      all += *part;
    }
  out->digest = hex(sha256(as_bytes(all)));
  return out;
}

} // namespace hubgate::yara
