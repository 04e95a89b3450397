#pragma once
// Modules: which file of a repository an import means. Knows paths only; nothing is opened here.
// Internal to scanner/code/python.
#include "scanner/code/python/ast.hpp"
#include "scanner/code/python/repository.hpp"

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace hubgate::python {

/// A file, or a folder that holds some.
struct Module {
  enum class State : std::uint8_t { fresh, running, done };
  std::string path;   ///< of the file; of a folder without __init__.py, of the folder
  std::string folder; ///< where its relative imports begin
  std::string place;  ///< "pkg/util" of pkg/util.py, "pkg" of pkg/__init__.py
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  std::uint32_t shown = 0; ///< where the file begins in the bundle
  bool recovered = false;  ///< the text is not the file's own
  NodeId root = k_no_node; ///< none: a folder, or a file that is no Python
  When when = When::on_call;
  State state = State::fresh;
};

class Modules {
public:
  /// Files in the order of their texts.
  explicit Modules(std::span<const RepositoryFile> files);

  std::vector<Module>& all() { return modules_; }
  /// How many of them are files; folders come behind.
  std::size_t files() const { return files_; }

  /// What `import name` (with leading dots: relative) means in a module; nothing: not of the
  /// repository. The libraries that usual machines have come before the repository's own files.
  std::optional<std::uint32_t> resolve(std::uint32_t from, std::string_view name) const;
  /// A module inside of a package.
  std::optional<std::uint32_t> child(std::uint32_t package, std::string_view name) const;
  /// The packages around a module, outermost first.
  std::vector<std::uint32_t> parents(std::uint32_t module) const;
  /// The file that a path written in a module leads to; what is unknown of it is where the
  /// repository lies.
  std::optional<std::uint32_t> file(std::uint32_t from, std::string_view text) const;
  /// sys.path grows by what a module wrote: the end of the path counts, if the repository has it.
  void add_search_path(std::uint32_t from, std::string_view text);
  /// The file whose text has that offset.
  std::uint32_t at(std::uint32_t offset) const;

private:
  std::optional<std::uint32_t> find(const std::string& place) const;
  std::optional<std::uint32_t> written(std::uint32_t from, std::string_view text) const;
  std::optional<std::uint32_t> below(std::string_view folder, std::string_view name) const;

  std::vector<Module> modules_;
  std::size_t files_ = 0;
  std::unordered_map<std::string, std::uint32_t> by_place_;
  std::vector<std::string> search_;
};

} // namespace hubgate::python
