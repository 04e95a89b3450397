#include "proxy/forward/hello.hpp"
#include "proxy/forward/hosts.hpp"
#include "proxy/forward/proxy_protocol.hpp"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

namespace hubgate::proxy {
namespace {

// What OpenSSL says first as a client.
std::string hello_of(const char* name) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = SSL_new(context);
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl, in, out);
  SSL_set_connect_state(ssl);
  if (name) SSL_set_tlsext_host_name(ssl, name);
  SSL_do_handshake(ssl);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  std::string bytes(data, static_cast<std::size_t>(size));
  SSL_free(ssl);
  SSL_CTX_free(context);
  return bytes;
}

// The same message in records of `piece` bytes.
std::string split(const std::string& record, std::size_t piece) {
  const std::string message = record.substr(5);
  std::string out;
  for (std::size_t at = 0; at < message.size(); at += piece) {
    const std::string part = message.substr(at, piece);
    out += record.substr(0, 3);
    out += static_cast<char>(part.size() >> 8);
    out += static_cast<char>(part.size() & 255);
    out += part;
  }
  return out;
}

TEST(Hello, names_the_server) {
  const std::string bytes = hello_of("Hub.Example.org");
  const Hello hello = read_hello(as_bytes(bytes));
  EXPECT_EQ(hello.kind, Hello::Kind::complete);
  EXPECT_EQ(hello.server_name, "hub.example.org");
  EXPECT_EQ(read_hello(as_bytes(bytes + "more")).server_name, "hub.example.org");
}

TEST(Hello, may_name_none) {
  const Hello hello = read_hello(as_bytes(hello_of(nullptr)));
  EXPECT_EQ(hello.kind, Hello::Kind::complete);
  EXPECT_EQ(hello.server_name, "");
}

TEST(Hello, is_the_same_however_it_is_cut) {
  const std::string bytes = hello_of("hub.example.org");
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_EQ(read_hello(as_bytes(bytes).first(n)).kind, Hello::Kind::incomplete) << n;
  for (const std::size_t piece: {1, 3, 40, 200})
    EXPECT_EQ(read_hello(as_bytes(split(bytes, piece))).server_name, "hub.example.org") << piece;
}

TEST(Hello, other_protocols_are_none) {
  for (const std::string_view text: {"GET / HTTP/1.1\r\n", "SSH-2.0-x", "\x16\x02", "\x80\x2e\x01"})
    EXPECT_EQ(read_hello(as_bytes(text)).kind, Hello::Kind::none) << text;
  // a handshake that is no ClientHello, and an empty record
  EXPECT_EQ(read_hello(as_bytes(std::string("\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9))).kind,
            Hello::Kind::none);
  EXPECT_EQ(read_hello(as_bytes(std::string("\x16\x03\x01\x00\x00", 5))).kind, Hello::Kind::none);
}

TEST(Hello, two_names_are_none) {
  std::string bytes = hello_of("hub.example.org");
  // the second extension after the name becomes another name: same type, broken body
  const std::size_t name = bytes.find("hub.example.org");
  ASSERT_NE(name, std::string::npos);
  bytes[name] = '\n';
  EXPECT_EQ(read_hello(as_bytes(bytes)).kind, Hello::Kind::none);
}

TEST(ProxyHeader, version_1) {
  const std::string line = "PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\n";
  const auto header = read_proxy_header(as_bytes(line + "CONNECT"));
  EXPECT_EQ(header.kind, ProxyHeader::Kind::complete);
  EXPECT_EQ(header.size, line.size());
  EXPECT_EQ(header.client, "192.0.2.1");
  EXPECT_EQ(read_proxy_header(as_bytes("PROXY TCP6 2001:db8::1 ::1 1 2\r\n")).client,
            "2001:db8::1");
  EXPECT_EQ(read_proxy_header(as_bytes("PROXY UNKNOWN\r\n")).client, "");
  EXPECT_EQ(read_proxy_header(as_bytes("PRO")).kind, ProxyHeader::Kind::incomplete);
  for (const std::string_view wrong:
       {"GET / HTTP/1.1\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 99999\r\n", "PROXY TCP4 x 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n"})
    EXPECT_EQ(read_proxy_header(as_bytes(wrong)).kind, ProxyHeader::Kind::broken) << wrong;
  EXPECT_EQ(read_proxy_header(as_bytes("PROXY " + std::string(200, 'x'))).kind,
            ProxyHeader::Kind::broken);
}

TEST(ProxyHeader, version_2) {
  const std::string signature("\r\n\r\n\0\r\nQUIT\n", 12);
  const std::string body("\xc0\x00\x02\x07\xc0\x00\x02\x08\x04\xd2\x01\xbb", 12);
  const std::string whole = signature + std::string("\x21\x11\x00\x0c", 4) + body;
  const auto header = read_proxy_header(as_bytes(whole + "x"));
  EXPECT_EQ(header.kind, ProxyHeader::Kind::complete);
  EXPECT_EQ(header.size, whole.size());
  EXPECT_EQ(header.client, "192.0.2.7");
  for (std::size_t n = 0; n < whole.size(); ++n)
    EXPECT_EQ(read_proxy_header(as_bytes(whole).first(n)).kind, ProxyHeader::Kind::incomplete);
  // LOCAL; another version; addresses that are too short; too long as a whole
  EXPECT_EQ(read_proxy_header(as_bytes(signature + std::string("\x20\x00\x00\x00", 4))).client, "");
  for (const auto& head: {std::string("\x31\x11\x00\x0c", 4), std::string("\x21\x11\x00\x02", 4),
                          std::string("\x21\x11\xff\xff", 4)})
    EXPECT_EQ(read_proxy_header(as_bytes(signature + head + body)).kind, ProxyHeader::Kind::broken);
}

TEST(Authority, hosts_and_addresses) {
  const auto text = [](std::string_view given) {
    const auto parsed = parse_authority(given);
    return parsed ? parsed->text() : "refused";
  };
  EXPECT_EQ(text("HuggingFace.co:443"), "huggingface.co:443");
  EXPECT_EQ(text("huggingface.co.:443"), "huggingface.co:443");
  EXPECT_EQ(text("192.0.2.1:443"), "192.0.2.1:443");
  EXPECT_EQ(text("[2001:DB8::1]:443"), "[2001:db8::1]:443");
  EXPECT_TRUE(parse_authority("[::ffff:127.0.0.1]:443")->is_address);
  for (const std::string_view wrong: {"",
                                      ":443",
                                      "a",
                                      "a:",
                                      "a:0",
                                      "a:65536",
                                      "a:000443",
                                      "a:+443",
                                      "a:443 ",
                                      "user@a:443",
                                      "a/b:443",
                                      "2130706433:443",
                                      "127.1:443",
                                      "0x7f000001:443",
                                      "1.2.3.0x4:443",
                                      "a..b:443",
                                      ".a:443",
                                      ".:443",
                                      "[::1:443",
                                      "::1:443",
                                      "[fe80::1%25eth0]:443",
                                      "http://a:443",
                                      "a\tb:443",
                                      "-a:443",
                                      "ex\xc3\xa4mple:443"})
    EXPECT_EQ(text(wrong), "refused") << wrong;
}

TEST(Network, contains_what_it_says) {
  const auto in = [](std::string_view network, const char* address) {
    return Network::parse(network)->contains(boost::asio::ip::make_address(address));
  };
  EXPECT_TRUE(in("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(in("10.0.0.0/8", "11.0.0.1"));
  EXPECT_TRUE(in("10.0.0.0/8", "::ffff:10.1.2.3"));
  EXPECT_TRUE(in("192.168.4.0/22", "192.168.7.255"));
  EXPECT_FALSE(in("192.168.4.0/22", "192.168.8.0"));
  EXPECT_TRUE(in("fd00::/8", "fd12::1"));
  EXPECT_TRUE(in("0.0.0.0/0", "8.8.8.8"));
  EXPECT_FALSE(in("0.0.0.0/0", "::1"));
  EXPECT_TRUE(in("127.0.0.1", "127.0.0.1"));
  EXPECT_FALSE(in("127.0.0.1", "127.0.0.2"));
  for (const std::string_view wrong: {"", "10.0.0.0/33", "10.0.0/8", "x", "::/129", "10.0.0.0/"})
    EXPECT_FALSE(Network::parse(wrong)) << wrong;
}

TEST(Hosts, patterns) {
  EXPECT_TRUE(host_matches("cdn.hf.co", "*.hf.co"));
  EXPECT_FALSE(host_matches("hf.co", "*.hf.co"));
  EXPECT_FALSE(host_matches("evilhf.co", "*.hf.co"));
  EXPECT_FALSE(host_matches("hf.co.evil.org", "*.hf.co"));
  const auto hosts = default_intercept_hosts(parse_url("https://huggingface.co")->origin);
  for (const char* host: {"cdn-lfs.hf.co", "cas-server.xethub.hf.co", "transfer.xethub.hf.co",
                          "cas-bridge.xethub.hf.co", "cdn-lfs-us-1.huggingface.co"})
    EXPECT_TRUE(host_matches(host, hosts)) << host;
}

} // namespace
} // namespace hubgate::proxy
