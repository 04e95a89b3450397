#include "scanner/code/marshal/decompile.hpp"
#include "scanner/code/marshal/marshal.hpp"
#include "scanner/code/python/parser.hpp"

#include <cstdlib>

// What is made out of hostile bytes is Python.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const hubgate::Bytes input(data, size);
  const hubgate::marshal::Object object = hubgate::marshal::read_any(input);
  hubgate::marshal::list(input, object);
  const hubgate::marshal::Decompiled source = hubgate::marshal::decompile(input, object);
  const hubgate::python::Tree tree = hubgate::python::parse_python(source.text);
  if (tree.errors != 0 && !tree.too_deep && !tree.too_large) std::abort();
  hubgate::marshal::disassemble(input, object, 0, 100);
  return 0;
}
