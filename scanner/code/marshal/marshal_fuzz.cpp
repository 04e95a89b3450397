#include "scanner/code/marshal/marshal.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const hubgate::Bytes input(data, size);
  const auto object = hubgate::marshal::read_any(input);
  (void)hubgate::marshal::find_danger(hubgate::marshal::list(input, object));
  return 0;
}
