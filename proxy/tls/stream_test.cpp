#include "proxy/tls/contexts.hpp"
#include "proxy/tls/stream.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <sys/stat.h>

namespace hubgate::proxy {
namespace {

using asio::ip::tcp;

/// Two ends of a connection on loopback, and what they need.
class StreamTest : public ::testing::Test {
protected:
  void SetUp() override {
    char name[] = "/tmp/hubgate-stream-XXXXXX";
    dir_ = ::mkdtemp(name);
    auto made = own_certificate(dir_, "gate.example");
    ASSERT_TRUE(made) << made.error().message;
    own_ = *made;
    auto server = server_context(own_.cert_file, own_.key_file);
    auto client = client_context(own_.cert_file);
    ASSERT_TRUE(server && client);
    server_tls_ = std::move(*server);
    client_tls_ = std::move(*client);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void connect(bool tls) {
    tcp::acceptor acceptor(loop_.context(), tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    tcp::socket near(loop_.context());
    tcp::socket far(loop_.context());
    near.connect(acceptor.local_endpoint());
    acceptor.accept(far);
    client_ = std::make_unique<Stream>(loop_, std::move(near), tls ? client_tls_.get() : nullptr);
    server_ = std::make_unique<Stream>(loop_, std::move(far), tls ? server_tls_.get() : nullptr);
  }

  // Runs both sides until both are done.
  void run(std::function<Task<void>()> server, std::function<Task<void>()> client) {
    loop_.on_error = [](const std::string& what) { ADD_FAILURE() << what; };
    loop_.spawn([this, server] { return count(server); });
    loop_.spawn([this, client] { return count(client); });
    loop_.run();
  }

  Task<void> count(std::function<Task<void>()> side) {
    co_await side();
    if (++ended_ == 2) loop_.stop();
  }

  std::filesystem::path dir_;
  OwnCertificate own_;
  TlsContext server_tls_;
  TlsContext client_tls_;
  Loop loop_;
  std::unique_ptr<Stream> client_;
  std::unique_ptr<Stream> server_;
  int ended_ = 0;
};

std::vector<std::uint8_t> pattern(std::size_t size) {
  std::vector<std::uint8_t> out(size);
  std::uint32_t state = 1;
  for (auto& byte: out) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  return out;
}

constexpr std::size_t k_size = 5'000'001;

Task<void> accept_and_send(Stream& stream, const std::vector<std::uint8_t>& data) {
  const bool shaken = co_await stream.accept();
  EXPECT_TRUE(shaken) << stream.error();
  const Bytes bytes(data);
  for (std::size_t at = 0, step = 1; at < data.size(); at += step, step = step * 3 + 1) {
    step = std::min(step, data.size() - at);
    const Bytes part = bytes.subspan(at, step);
    const bool sent = co_await stream.write(part.first(step / 2), part.subspan(step / 2));
    EXPECT_TRUE(sent) << stream.error();
  }
  co_await stream.shutdown();
}

Task<void> connect_and_read(Stream& stream, const std::vector<std::uint8_t>& data) {
  const bool shaken = co_await stream.connect("gate.example");
  EXPECT_TRUE(shaken) << stream.error();
  std::vector<std::uint8_t> got;
  std::vector<std::uint8_t> buffer(100'000);
  for (;;) {
    const std::int64_t n = co_await stream.read(buffer);
    EXPECT_GE(n, 0) << stream.error();
    if (n <= 0) break;
    got.insert(got.end(), buffer.begin(), buffer.begin() + n);
  }
  EXPECT_TRUE(stream.ended_cleanly());
  EXPECT_EQ(got, data);
}

TEST_F(StreamTest, carries_bytes_under_tls) {
  connect(true);
  const auto data = pattern(k_size);
  run([&] { return accept_and_send(*server_, data); },
      [&] { return connect_and_read(*client_, data); });
}

TEST_F(StreamTest, carries_bytes_without_tls) {
  connect(false);
  const auto data = pattern(k_size);
  run([&] { return accept_and_send(*server_, data); },
      [&] { return connect_and_read(*client_, data); });
}

// The outer layer is TLS to a proxy; the peer's first bytes of the inner one may come with its
// last.
Task<void> accept_twice_and_send(Stream& stream, ssl_ctx_st* inner,
                                 const std::vector<std::uint8_t>& data) {
  const bool shaken = co_await stream.accept();
  EXPECT_TRUE(shaken) << stream.error();
  std::vector<std::uint8_t> first(700);
  const std::int64_t n = co_await stream.read(std::span(first).first(1));
  EXPECT_EQ(n, 1);
  stream.secure(inner, Bytes(first).first(1));
  co_await accept_and_send(stream, data);
}

Task<void> connect_twice_and_read(Stream& stream, ssl_ctx_st* inner,
                                  const std::vector<std::uint8_t>& data) {
  const bool shaken = co_await stream.connect("gate.example");
  EXPECT_TRUE(shaken) << stream.error();
  stream.secure(inner);
  co_await connect_and_read(stream, data);
}

TEST_F(StreamTest, carries_bytes_under_tls_inside_tls) {
  connect(true);
  const auto data = pattern(k_size);
  run([&] { return accept_twice_and_send(*server_, server_tls_.get(), data); },
      [&] { return connect_twice_and_read(*client_, client_tls_.get(), data); });
}

Task<void> accept_twice_and_read(Stream& stream, ssl_ctx_st* inner,
                                 const std::vector<std::uint8_t>& data) {
  const bool shaken = co_await stream.accept();
  EXPECT_TRUE(shaken) << stream.error();
  stream.secure(inner);
  co_await stream.accept();
  std::vector<std::uint8_t> got;
  std::vector<std::uint8_t> buffer(100'000);
  std::int64_t n = 1;
  while (n > 0) {
    n = co_await stream.read(buffer);
    if (n > 0) got.insert(got.end(), buffer.begin(), buffer.begin() + n);
  }
  EXPECT_EQ(n, 0) << stream.error();
  EXPECT_TRUE(stream.ended_cleanly());
  EXPECT_EQ(got, data);
}

Task<void> connect_twice_and_send(Stream& stream, ssl_ctx_st* inner,
                                  const std::vector<std::uint8_t>& data) {
  co_await stream.connect("gate.example");
  stream.secure(inner);
  co_await stream.connect("gate.example");
  co_await stream.write(data);
  co_await stream.shutdown();
}

TEST_F(StreamTest, takes_bytes_under_tls_inside_tls) {
  connect(true);
  const auto data = pattern(k_size);
  run([&] { return accept_twice_and_read(*server_, server_tls_.get(), data); },
      [&] { return connect_twice_and_send(*client_, client_tls_.get(), data); });
}

Task<void> accept_only(Stream& stream) {
  co_await stream.accept();
}

Task<void> refuse_name(Stream& stream) {
  const bool shaken = co_await stream.connect("other.example");
  EXPECT_FALSE(shaken);
  EXPECT_NE(stream.error().find("certificate"), std::string::npos) << stream.error();
  stream.close();
}

TEST_F(StreamTest, takes_no_certificate_of_another_name) {
  connect(true);
  run([&] { return accept_only(*server_); }, [&] { return refuse_name(*client_); });
}

Task<void> accept_and_cut(Stream& stream) {
  co_await stream.accept();
  const auto data = pattern(1000);
  co_await stream.write(data);
  stream.close(); // FIN without close_notify
}

Task<void> read_until_cut(Stream& stream) {
  co_await stream.connect("gate.example");
  std::vector<std::uint8_t> buffer(10'000);
  std::int64_t n = 1;
  while (n > 0)
    n = co_await stream.read(buffer);
  EXPECT_FALSE(stream.ended_cleanly());
}

TEST_F(StreamTest, tells_a_cut_from_an_end) {
  connect(true);
  run([&] { return accept_and_cut(*server_); }, [&] { return read_until_cut(*client_); });
}

Task<void> wait_for_nothing(Stream& stream) {
  stream.set_deadline(Clock::now());
  std::vector<std::uint8_t> buffer(10);
  const std::int64_t n = co_await stream.read(buffer);
  EXPECT_EQ(n, -1);
  EXPECT_TRUE(stream.expired());
}

Task<void> do_nothing() {
  co_return;
}

TEST_F(StreamTest, gives_up_a_silent_peer) {
  connect(false);
  run([&] { return wait_for_nothing(*server_); }, [] { return do_nothing(); });
}

TEST_F(StreamTest, sees_that_a_kept_connection_has_gone_stale) {
  connect(false);
  EXPECT_FALSE(client_->stale());
  server_->close();
  EXPECT_TRUE(client_->gone());
  EXPECT_TRUE(client_->stale());
}

TEST_F(StreamTest, keeps_its_certificate_and_the_key_to_itself) {
  const auto again = own_certificate(dir_, "gate.example");
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->made_now);
  EXPECT_EQ(again->fingerprint, own_.fingerprint);
  struct stat info{};
  ASSERT_EQ(::stat(own_.key_file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const auto other = own_certificate(dir_, "other.example");
  ASSERT_TRUE(other);
  EXPECT_TRUE(other->made_now);
}

} // namespace
} // namespace hubgate::proxy
