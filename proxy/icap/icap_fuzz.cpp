// Heads of ICAP messages from any peer: what is taken says where its parts lie, one behind the
// other.
#include "proxy/icap/message.hpp"
#include "scanner/core/bytes.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hubgate;
  using namespace hubgate::proxy;
  const auto head = icap::parse_head(as_text(Bytes(data, size)));
  if (!head) return 0;
  if (head->request_head > k_max_head || head->response_head > k_max_head) std::abort();
  if (head->preview && *head->preview > icap::k_max_preview) std::abort();
  const bool asked = head->method != icap::Method::options;
  if (asked && head->request_head + head->response_head == 0) std::abort();
  return 0;
}
