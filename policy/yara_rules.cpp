#include "policy/yara_rules.hpp"

#include "policy/rules_elsewhere.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/core/glob.hpp"

#include <algorithm>

namespace hubgate {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t k_file_max = std::uintmax_t{16} << 20;
constexpr std::size_t k_all_max = std::size_t{64} << 20;
constexpr std::size_t k_files_max = 10'000;

bool is_glob(std::string_view text) {
  return text.find_first_of("*?[") != std::string_view::npos;
}

// The files that one entry names, by name.
Result<std::vector<fs::path>> files_of(const fs::path& folder, const std::string& text) {
  const fs::path path = folder / text;
  if (!is_glob(text)) return std::vector<fs::path>{path};
  if (is_glob(path.parent_path().lexically_relative(folder).string()))
    return Error{"a glob may stand for names of files, not for folders"};
  std::vector<fs::path> out;
  std::error_code failure;
  fs::directory_iterator at(path.parent_path().empty() ? "." : path.parent_path(), failure);
  const std::string pattern = path.filename().string();
  for (const auto end = fs::directory_iterator(); !failure && at != end; at.increment(failure)) {
    const fs::path name = at->path().filename();
    if (glob_matches(pattern, name.string(), Case::sensitive) && !fs::is_directory(at->path()))
      out.push_back(path.parent_path() / name);
  }
  if (failure) return Error{printable(path.parent_path().string(), 300) + ": " + failure.message()};
  if (out.empty()) return Error{"no file is called like that"};
  std::sort(out.begin(), out.end());
  return out;
}

} // namespace

std::shared_ptr<const yara::Compiled> read_yara(yaml::Mapping& top, const fs::path& folder) {
  const auto items = top.list("yara");
  if (!items || folder == k_rules_elsewhere) return nullptr;
  if (folder.empty()) {
    top.error("yara", "a policy that is no file can't name files");
    return nullptr;
  }
  std::vector<yara::RuleFile> files;
  std::size_t bytes = 0;
  bool bad = false;
  for (const yaml::Item& item: *items) {
    const auto paths = files_of(folder, item.text);
    if (!paths) {
      top.error("yara", item, "'" + printable(item.text, 200) + "': " + paths.error().message);
      bad = true;
      continue;
    }
    for (const fs::path& path: *paths) {
      const auto text = yaml::read_file(path, k_file_max);
      bytes += text ? text->size() : 0;
      if (!text || bytes > k_all_max || files.size() == k_files_max) {
        top.error("yara", item,
                  !text ? text.error().message : "more than 64 MiB or 10000 files of YARA rules");
        return nullptr;
      }
      const std::string name = path.lexically_normal().string();
      const bool twice = std::any_of(files.begin(), files.end(),
                                     [&](const auto& file) { return file.name == name; });
      if (!twice) files.push_back({name, yara::space_of(name), *text});
    }
  }
  std::vector<yara::Problem> problems;
  std::shared_ptr<const yara::Compiled> out = yara::compile(files, problems);
  for (yara::Problem& problem: problems) {
    if (problem.file.empty() && problem.warning)
      top.warning("yara", std::move(problem.message));
    else if (problem.file.empty())
      top.error("yara", std::move(problem.message));
    else
      top.note_in(printable(problem.file, 300), problem.line, std::move(problem.message),
                  problem.warning);
  }
  return bad ? nullptr : out;
}

Result<void> give_rules(WorkerPool& pool, const Policy& policy) {
  const auto rules = policy.yara();
  return pool.set_rules(rules ? Bytes(rules->bytes) : Bytes());
}

std::string with_yara(const std::string& rules, const Policy& policy) {
  const auto yara = policy.yara();
  return yara ? hex(sha256(as_bytes(rules + " " + yara->digest))) : rules;
}

} // namespace hubgate
