#pragma once
// Cells of notebooks as Python: what IPython's own lines mean is written as calls, commands of a
// shell are handed out. Shared by the format `notebook`, which judges one notebook, and by the
// analysis of a whole repository. Nothing is run.
#include "scanner/core/source.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace hubgate::python {

/// What a cell holds besides Python. Each may be empty.
struct CellParts {
  /// A command of a shell: one line, or the lines of a `%%bash` cell.
  std::function<void(std::string_view)> command;
  /// A cell of another kind: its magic ("html", "javascript", "perl"…) and its text.
  std::function<void(std::string_view, std::string_view)> other;
};

/// Appends the Python of the code cell `source` to `code`. `%run`, `%%writefile` and commands that
/// start one file (`!bash x.sh`) become calls; other lines for a shell become `pass`.
void append_cell(std::string_view source, std::string& code, const CellParts& parts);

/// The Python of all code cells of the notebook `json` (nbformat 3 and 4), up to `most` bytes;
/// empty where it is none.
std::string notebook_code(Bytes json, std::size_t most);

/// The lines of a `.pth` file that Python executes, each at its place, blanks for the others.
std::string path_file_code(std::string_view text);

} // namespace hubgate::python
