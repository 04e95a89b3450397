#include "hook/lfs/references.hpp"

#include "hook/program.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/git/pointer.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <functional>

namespace hubgate {
namespace {

// A hook's environment leads to the objects of its push: Git gets one of its own.
std::vector<std::string> environment_of(const std::filesystem::path& git_dir) {
  std::vector<std::string> out{"GIT_DIR=" + git_dir.string(), "GIT_CONFIG_NOSYSTEM=1"};
  for (const char* name: {"PATH", "HOME", "GIT_EXEC_PATH"})
    if (const char* value = std::getenv(name); value != nullptr)
      out.push_back(std::string(name) + "=" + value);
  return out;
}

Result<void> ask_git(const std::filesystem::path& git_dir, std::vector<std::string> arguments,
                     std::string_view input, const std::function<Result<void>(Bytes)>& take) {
  Program program{.words = {"git", "--no-replace-objects"},
                  .input = input,
                  .environment = environment_of(git_dir)};
  program.words.insert(program.words.end(), arguments.begin(), arguments.end());
  const int status = HUBGATE_TRY(run_program(program, take));
  if (status != 0)
    return Error{"git " + arguments.front() + " failed in " + printable(git_dir.string(), 200)};
  return {};
}

/// Lines that come in pieces.
class Lines {
public:
  explicit Lines(std::function<void(std::string_view)> each) : each_(std::move(each)) {}
  Result<void> take(Bytes bytes) {
    rest_ += as_text(bytes);
    std::size_t begin = 0;
    for (std::size_t end = rest_.find('\n'); end != std::string::npos;
         end = rest_.find('\n', begin)) {
      each_(std::string_view(rest_).substr(begin, end - begin));
      begin = end + 1;
    }
    rest_.erase(0, begin);
    constexpr std::size_t k_line_max = std::size_t{1} << 20;
    if (rest_.size() > k_line_max) return Error{"git gives a line without an end"};
    return {};
  }

private:
  std::function<void(std::string_view)> each_;
  std::string rest_;
};

/// The answers of `git cat-file --batch`: a line "ID blob SIZE", the bytes, a line feed.
class Blobs {
public:
  explicit Blobs(std::set<std::string>& out) : out_(out) {}
  Result<void> take(Bytes bytes) {
    rest_ += as_text(bytes);
    std::string_view rest = rest_;
    while (true) {
      const std::size_t end = rest.find('\n');
      if (end == rest.npos) break;
      const auto size = size_of(rest.substr(0, end));
      if (!size || *size > git::k_pointer_max) return Error{"git gives an object that is no blob"};
      if (rest.size() < end + 1 + *size + 1) break;
      const std::string_view text = rest.substr(end + 1, *size);
      if (const auto pointer = git::read_pointer(as_bytes(text), *size)) {
        out_.insert(pointer->oid);
        out_.insert(pointer->other_oids.begin(), pointer->other_oids.end());
      }
      rest.remove_prefix(end + 1 + *size + 1);
    }
    rest_.erase(0, rest_.size() - rest.size());
    return {};
  }
  /// The size in "ID blob SIZE"; nothing for anything else.
  static std::optional<std::size_t> size_of(std::string_view line) {
    const std::size_t at = line.find(" blob ");
    if (at == line.npos) return std::nullopt;
    const std::string_view digits = line.substr(at + 6);
    std::size_t size = 0;
    const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
    if (error != std::errc() || rest != digits.data() + digits.size()) return std::nullopt;
    return size;
  }

private:
  std::set<std::string>& out_;
  std::string rest_;
};

} // namespace

Result<std::set<std::string>> lfs_references(const std::filesystem::path& git_dir, LfsReach reach) {
  std::string small; // ids of blobs that may be pointers
  Lines sizes([&](std::string_view line) {
    const auto size = Blobs::size_of(line);
    if (!size || *size > git::k_pointer_max) return;
    small += line.substr(0, line.find(' '));
    small += '\n';
  });
  const auto take = [&](Bytes bytes) { return sizes.take(bytes); };
  if (reach == LfsReach::stored) {
    if (auto listed = ask_git(
            git_dir, {"cat-file", "--batch-all-objects", "--unordered", "--batch-check"}, "", take);
        !listed)
      return listed.error();
  } else {
    std::string named;
    if (auto listed = ask_git(
            git_dir, {"rev-list", "--objects", "--no-object-names", "--all", "--reflog"}, "",
            [&](Bytes bytes) -> Result<void> {
              named += as_text(bytes);
              return {};
            });
        !listed)
      return listed.error();
    if (auto checked = ask_git(git_dir, {"cat-file", "--batch-check"}, named, take); !checked)
      return checked.error();
  }
  std::set<std::string> out;
  if (small.empty()) return out;
  Blobs blobs(out);
  if (auto read = ask_git(git_dir, {"cat-file", "--batch"}, small,
                          [&](Bytes bytes) { return blobs.take(bytes); });
      !read)
    return read.error();
  return out;
}

} // namespace hubgate
