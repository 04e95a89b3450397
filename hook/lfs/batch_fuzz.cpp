// The answer of an LFS server about one object, and the credentials and error codes of S3: every
// byte of them is somebody else's.
#include "hook/lfs/batch.hpp"
#include "hook/lfs/s3.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hubgate;
  const std::string_view text = as_text(Bytes(data, size));
  if (const auto answer = read_batch_answer(text, std::string(64, 'a')); answer) {
    (void)http_origin(answer->href);
    for (const auto& [name, value]: answer->headers)
      if (name.find_first_of("\r\n: ") != name.npos || value.find_first_of("\r\n") != value.npos)
        __builtin_trap();
  }
  (void)s3_error_code(text);
  (void)s3_credentials(text);
  return 0;
}
