#include "proxy/tls/token_uri.hpp"

#include <gtest/gtest.h>

namespace hubgate::proxy {
namespace {

TEST(TokenUri, is_read_and_written) {
  const auto uri =
      TokenUri::parse("pkcs11:token=my%20token;id=%00%ff;object=a%3Bb;slot-id=7;type=private"
                      "?pin-source=file:///etc/pin&module-path=/lib/m.so");
  ASSERT_TRUE(uri) << uri.error().message;
  EXPECT_EQ(uri->token, "my token");
  EXPECT_EQ(uri->id, std::string("\0\xff", 2));
  EXPECT_EQ(uri->object, "a;b");
  EXPECT_EQ(uri->slot_id, 7UL);
  EXPECT_EQ(uri->pin_source, "/etc/pin");
  EXPECT_EQ(uri->module_path, "/lib/m.so");
  EXPECT_EQ(uri->text(),
            "pkcs11:token=my%20token;slot-id=7;object=a%3Bb;id=%00%FF?module-path=/lib/m.so&"
            "pin-source=/etc/pin");
  const auto again = TokenUri::parse(uri->text());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->text(), uri->text());
}

TEST(TokenUri, is_read_in_one_way) {
  const std::string module = "?module-path=/lib/m.so";
  for (const std::string& wrong:
       {std::string("pkcs11:"), "PKCS11:token=a;object=b" + module,
        std::string("pkcs11:token=a;object=b"), "pkcs11:token=a" + module,
        "pkcs11:object=b" + module, "pkcs11:token=a;token=b;object=c" + module,
        "pkcs11:token=a;object=b%0" + module, "pkcs11:token=a;object=b%zz" + module,
        "pkcs11:token=a%00;object=b" + module, "pkcs11:token=;object=b" + module,
        "pkcs11:token=a;object" + module, "pkcs11:token=a;object=b;slot-id=x" + module,
        "pkcs11:token=a;object=b;type=cert" + module,
        "pkcs11:token=a;object=b;library-version=3" + module,
        "pkcs11:token=a;object=b" + module + "&pin-value=1234",
        std::string("pkcs11:token=a;object=b?module-path=m.so"),
        "pkcs11:token=a;object=b" + module + "&module-path=/lib/n.so",
        "pkcs11:token=a;object=b" + module + "&pin-source=|cat"})
    EXPECT_FALSE(TokenUri::parse(wrong)) << wrong;
}

} // namespace
} // namespace hubgate::proxy
