#pragma once
// Python over the files of a repository: the same evaluation as of one file, with imports between
// them followed, so that what one file downloads and another one runs is seen. Nothing is executed
// or opened. Texts travel to the worker as one bundle, which only a job that says so reads.
#include "scanner/core/format.hpp"
#include "scanner/core/result.hpp"
#include "scanner/core/session.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::python {

/// When code of a file runs.
enum class When : std::uint8_t {
  at_load, ///< when somebody loads the repository: an entry point, or what it imports
  on_call, ///< when somebody imports the file on purpose
};

/// A text in the bundle.
struct RepositoryFile {
  std::string_view path;
  std::uint64_t begin = 0; ///< of the text in the bundle
  std::uint64_t length = 0;
  When when = When::on_call;
  /// Of a text that was recovered from the file: where the file begins in the bundle as it came.
  std::optional<std::uint64_t> recovered = {};
};

/// Of one repository. What comes first is analysed first.
inline constexpr std::size_t k_max_modules = 2000;
inline constexpr std::uint64_t k_max_repository = std::uint64_t{16} << 20; ///< bytes of text

/// Analyses `files`, whose texts lie in `bundle` in this order. Offsets of findings are those in
/// the bundle. Linear in the text; one budget for all.
void analyse_repository(std::string_view bundle, std::span<const RepositoryFile> files,
                        Session& session);

/// The bundle: "hubgate repository\n", then for each file u8 when, u32 length of the path, u32
/// length of the text (little-endian), path, text.
class BundleWriter {
public:
  BundleWriter();
  /// Whether there is room for one more.
  bool has_room(std::string_view path, std::uint64_t length) const;
  /// False: there is none, and it is left out.
  bool add(std::string_view path, std::string_view text, When when);

  const std::string& bytes() const { return bytes_; }
  std::size_t files() const { return places_.size(); }
  /// Puts path and offset in the file in the place of offsets in the bundle.
  void name_files(Report& report) const;

private:
  struct Text {
    std::string path;
    std::uint64_t begin;
    std::uint64_t length;
  };
  const Text* find(std::uint64_t offset) const;
  std::string bytes_;
  std::uint64_t text_bytes_ = 0;
  std::vector<Text> places_;
};

/// Reads a bundle; the views point into it. An error: it is none.
Result<std::vector<RepositoryFile>> read_bundle(Bytes bundle);

/// Scans a bundle. In no table of formats: a job of its own kind runs it alone.
extern const Format format_repository;

} // namespace hubgate::python
