#include "hook/lfs/web.hpp"

#include "policy/judge/analyst.hpp"

namespace hubgate {

HttpClient::Options http_options(const LfsSourceConfig& config, const LfsWorld& world) {
  HttpClient::Options out;
  out.ca = config.ca;
  out.hosts = config.hosts;
  out.go_on = world.go_on;
  return out;
}

Result<Judge::Fetched> download(HttpClient& client, const HttpRequest& request,
                                const std::string& scratch, std::uint64_t most, HttpReply& reply) {
  Judge::Fetched out;
  Fd file = HUBGATE_TRY(unlinked_file(scratch));
  BlockHasher hasher;
  reply = HUBGATE_TRY(client.send(request, most, [&](Bytes bytes) {
    hasher.update(bytes);
    return write_bytes(file.get(), bytes);
  }));
  if (reply.status != 200) return out;
  out.file = std::move(file);
  out.digest = hasher.finish();
  return out;
}

} // namespace hubgate
