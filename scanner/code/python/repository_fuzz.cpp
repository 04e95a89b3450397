// A bundle as a worker gets it; and, where the input is none, the input cut into three modules that
// import each other.
#include "scanner/code/python/repository.hpp"

#include "tests/support/fuzz_format.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hubgate;
  using namespace hubgate::python;
  const Bytes bytes(data, size);
  test::fuzz_format(format_repository, data, size);
  if (read_bundle(bytes)) return 0;
  const std::string_view text = as_text(bytes);
  BundleWriter writer;
  writer.add("a.py", "from . import b\nfrom pkg.c import *\n", When::at_load);
  writer.add("b.py", text.substr(0, size / 2), When::on_call);
  writer.add("pkg/c.py", text.substr(size / 2), When::on_call);
  const std::string& bundle = writer.bytes();
  test::fuzz_format(format_repository, reinterpret_cast<const std::uint8_t*>(bundle.data()),
                    bundle.size());
  return 0;
}
