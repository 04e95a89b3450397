// Pointers: no crash, and whatever has no problem is the one canonical spelling.
#include "scanner/git/pointer.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hubgate;
  const Bytes bytes{data, size};
  const auto pointer = git::read_pointer(bytes, size);
  if (!pointer) return 0;
  if (pointer->oid.size() != 64) std::abort();
  for (const auto path_template: git::default_lfs_templates())
    if (!git::expand_lfs_path(path_template, "/r", pointer->oid)) std::abort();
  (void)git::expand_lfs_path(as_text(bytes), "/r", pointer->oid);
  if (!pointer->problems.empty()) return 0;
  const std::string canonical =
      "version https://git-lfs.github.com/spec/v1\noid sha256:" + pointer->oid + "\nsize " +
      std::to_string(pointer->size.value_or(0)) + "\n";
  if (canonical != as_text(bytes) || !pointer->read_by_git_lfs) std::abort();
  return 0;
}
