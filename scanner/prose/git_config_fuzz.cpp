// Git's configuration: no crash, the same entries however the file comes in pieces.
#include "scanner/prose/git_config.hpp"

#include <cstdlib>

namespace {

std::string read(std::string_view text, std::size_t piece) {
  std::string out;
  hubgate::prose::GitConfigReader reader([&](const hubgate::prose::GitConfigReader::Entry& entry) {
    if (entry.offset >= text.size() || entry.value.size() > 4096) std::abort();
    out += entry.section;
    out += '.';
    out += entry.subsection;
    out += '.';
    out += entry.key;
    out += '=';
    out += entry.value;
    out += '\n';
  });
  for (std::size_t at = 0; at < text.size(); at += piece)
    reader.feed(text.substr(at, piece));
  reader.finish();
  return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string whole = read(text, size == 0 ? 1 : size);
  if (read(text, 1) != whole || read(text, 7) != whole) std::abort();
  return 0;
}
