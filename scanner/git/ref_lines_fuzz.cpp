// Ref lines and alternates from the environment: no crash, and what is read obeys its own rules.
#include "scanner/git/ref_lines.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hubgate;
  const std::string_view text = as_text({data, size});
  if (const auto updates = git::parse_ref_lines(text); updates) {
    std::string again;
    for (const auto& update: *updates)
      again += update.before.hex() + " " + update.after.hex() + " " + update.name + "\n";
    if (again != text) std::abort(); // strict: there is one spelling
  }
  (void)git::parse_alternates(text);
  return 0;
}
