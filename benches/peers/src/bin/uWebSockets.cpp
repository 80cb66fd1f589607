// uWebSockets, in C++: an application as its documentation shows one, without compression, idle deadline and pings, which no other
// server here has. It gathers what handlers send while it looks at a socket, and writes that at once. `cargo xtask bench` compiles
// it with the sources in the crate libuwebsockets-sys.
//
// [ADDRESS] [--sink]: as the other servers here. It checks text for UTF-8 by itself.

#include "App.h"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

namespace {

// No message of a measurement is larger.
constexpr unsigned int max_message = 256u << 20;

struct Connection {
    std::uint64_t counted = 0;
};

}

int main(int argc, char **argv) {
    std::string host = "127.0.0.1";
    int port = 0;
    bool counts = false;
    for (int index = 1; index < argc; ++index) {
        const std::string argument = argv[index];
        const auto colon = argument.rfind(':');
        if (argument == "--sink") {
            counts = true;
        } else if (argument[0] != '-' && colon != std::string::npos) {
            host = argument.substr(0, colon);
            port = std::stoi(argument.substr(colon + 1));
        }
    }

    uWS::App::WebSocketBehavior<Connection> behavior;
    behavior.compression = uWS::DISABLED;
    behavior.maxPayloadLength = max_message;
    behavior.maxBackpressure = 0; // no limit
    behavior.idleTimeout = 0;
    behavior.sendPingsAutomatically = false;
    behavior.message = [counts](auto *socket, std::string_view message, uWS::OpCode kind) {
        Connection *connection = socket->getUserData();
        if (!counts) {
            socket->send(message, kind);
        } else if (kind == uWS::OpCode::TEXT) {
            socket->send(std::to_string(connection->counted), kind);
        } else {
            ++connection->counted;
        }
    };
    uWS::App()
        .ws<Connection>("/*", std::move(behavior))
        .listen(host, port, [&host](us_listen_socket_t *listener) {
            if (listener) {
                auto *socket = reinterpret_cast<us_socket_t *>(listener);
                std::printf("listening on ws://%s:%d/\n", host.c_str(), us_socket_local_port(0, socket));
                std::fflush(stdout);
            }
        })
        .run();
    // It only ends by itself if it could not listen.
    std::fprintf(stderr, "cannot listen on %s:%d\n", host.c_str(), port);
    return 1;
}
