#include "scanner/code/jinja/jinja.hpp"
#include "tests/support/fuzz_format.hpp"

namespace {

hubgate::Reading scan(hubgate::Source& source, hubgate::Session& session) {
  const std::string text(hubgate::as_text(source.view(0, std::size_t{1} << 16)));
  hubgate::jinja::analyse_template(session, text);
  hubgate::jinja::analyse_template(session, text, {.chat = false});
  return hubgate::Reading::valid;
}

const hubgate::Format k_format{.name = "template",
                               .family = "template",
                               .probe = [](const hubgate::Probe&) { return hubgate::Claim::yes; },
                               .scan = scan,
                               .rules = {}};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hubgate::test::fuzz_format(k_format, data, size);
  return 0;
}
