#include "scanner/code/python/modules.hpp"

#include "scanner/code/python/value.hpp"
#include "scanner/tree/libraries.hpp"
#include "scanner/tree/paths.hpp"

#include <algorithm>

namespace hubgate::python {
namespace {

constexpr std::string_view k_init = "__init__";
constexpr std::size_t k_max_search = 16;

std::string joined(std::string_view folder, std::string_view name) {
  std::string out(folder);
  if (!out.empty() && !name.empty()) out += '/';
  return out += name;
}

// Folders of that name are data as often as code; the installed library comes before them.
bool is_external(std::string_view name) {
  return is_library(name) || name == "datasets" || name == "evaluate";
}

} // namespace

Modules::Modules(std::span<const RepositoryFile> files) : files_(files.size()) {
  modules_.reserve(files.size());
  for (const RepositoryFile& file: files) {
    Module& module = modules_.emplace_back();
    module.path = file.path;
    module.folder = folder_of(file.path);
    module.begin = static_cast<std::uint32_t>(file.begin);
    module.end = static_cast<std::uint32_t>(file.begin + file.length);
    module.recovered = file.recovered.has_value();
    module.shown = static_cast<std::uint32_t>(file.recovered.value_or(file.begin));
    module.when = file.when;
    std::string_view name = name_of(file.path);
    name = name.substr(0, name.rfind('.'));
    const auto index = static_cast<std::uint32_t>(modules_.size() - 1);
    if (name == k_init) {
      module.place = module.folder;
      by_place_[module.place] = index; // a package comes before a module of its name
    } else {
      module.place = joined(module.folder, name);
      by_place_.emplace(module.place, index);
    }
  }
  for (std::size_t i = 0; i < files_; ++i) {
    std::string folder = modules_[i].folder;
    for (int depth = 0; depth < 64; ++depth) {
      const auto index = static_cast<std::uint32_t>(modules_.size());
      if (!by_place_.emplace(folder, index).second) break;
      modules_.push_back({.path = folder, .folder = folder, .place = folder});
      if (folder.empty()) break;
      folder = folder_of(folder);
    }
  }
}

std::optional<std::uint32_t> Modules::find(const std::string& place) const {
  const auto at = by_place_.find(place);
  return at == by_place_.end() ? std::nullopt : std::optional(at->second);
}

std::optional<std::uint32_t> Modules::below(std::string_view folder, std::string_view name) const {
  std::string place = joined(folder, name);
  std::replace(place.begin() + static_cast<std::ptrdiff_t>(folder.size()), place.end(), '.', '/');
  return find(place);
}

std::optional<std::uint32_t> Modules::resolve(std::uint32_t from, std::string_view name) const {
  const Module& module = modules_[from];
  if (name.starts_with('.')) {
    std::string_view folder = module.folder;
    name.remove_prefix(1);
    while (name.starts_with('.')) { // one folder up each
      if (folder.empty()) return std::nullopt;
      folder = folder_of(folder);
      name.remove_prefix(1);
    }
    return below(folder, name);
  }
  if (name.empty()) return std::nullopt;
  for (const std::string& folder: search_)
    if (const auto found = below(folder, name); found && *found != from) return found;
  if (is_external(name.substr(0, name.find('.')))) return std::nullopt;
  for (std::string_view folder = module.folder;; folder = folder_of(folder)) {
    if (const auto found = below(folder, name); found && *found != from) return found;
    if (folder.empty()) break;
  }
  return below("src", name);
}

std::optional<std::uint32_t> Modules::child(std::uint32_t package, std::string_view name) const {
  const Module& module = modules_[package];
  // Only a package has modules in it: its place is a folder.
  if (module.place != module.folder) return std::nullopt;
  return below(module.folder, name);
}

std::vector<std::uint32_t> Modules::parents(std::uint32_t module) const {
  std::vector<std::uint32_t> out;
  std::string folder = modules_[module].folder;
  for (int depth = 0; !folder.empty() && depth < 64; ++depth) {
    const auto found = find(folder);
    if (found && *found != module && modules_[*found].root != k_no_node) out.push_back(*found);
    folder = folder_of(folder);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

// The place that a path leads to, from the importer's folder or one above it.
std::optional<std::uint32_t> Modules::written(std::uint32_t from, std::string_view text) const {
  if (const std::size_t hole = text.rfind(k_hole); hole != std::string_view::npos)
    text.remove_prefix(std::min(text.find(';', hole), text.size() - 1) + 1);
  while (text.starts_with('/'))
    text.remove_prefix(1);
  if (text.empty() || text.size() > 1000) return std::nullopt;
  for (std::string_view folder = modules_[from].folder;; folder = folder_of(folder)) {
    const ResolvedPath to = resolve_path(joined(folder, "x"), text);
    if (to.kind == PathKind::inside && !to.path.empty())
      if (const auto found = find(to.path)) return found;
    if (folder.empty()) return std::nullopt;
  }
}

std::optional<std::uint32_t> Modules::file(std::uint32_t from, std::string_view text) const {
  if (!text.ends_with(".py")) return std::nullopt;
  text.remove_suffix(3);
  return written(from, text);
}

void Modules::add_search_path(std::uint32_t from, std::string_view text) {
  const auto found = written(from, text);
  if (!found || search_.size() >= k_max_search) return;
  const std::string& place = modules_[*found].place;
  if (std::find(search_.begin(), search_.end(), place) == search_.end()) search_.push_back(place);
}

std::uint32_t Modules::at(std::uint32_t offset) const {
  const auto end = modules_.begin() + static_cast<std::ptrdiff_t>(files_);
  const auto next = std::upper_bound(
      modules_.begin(), end, offset,
      [](std::uint32_t value, const Module& module) { return value < module.begin; });
  return next == modules_.begin() ? 0 : static_cast<std::uint32_t>(next - modules_.begin() - 1);
}

} // namespace hubgate::python
