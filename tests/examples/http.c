/* http.c - a small HTTP server on epoll, with a scope for each request: headers, parameters and the answer are allocated
 * in it, and nothing is freed one by one. The program is its own client: connections on the loopback, pipelined requests.
 *
 * Each request is answered with a table of its headers and parameters, sorted. */
#define _GNU_SOURCE
#include <nebmalloc/scope.h>

#include "versus.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 4, REQUESTS = 2000, INPUT = 16384 };

struct field {
    struct field *next;
    char *name, *value;
};

struct request {
    neb_scope *scope; /* NULL: malloc */
    char *method, *path;
    struct field *fields;
};

struct connection {
    int socket;
    size_t length;
    char input[INPUT];
};

static void *take(struct request *request, size_t size)
{
    return or_die(request->scope != NULL ? neb_scope_alloc(request->scope, size) : malloc(size));
}

static char *copy(struct request *request, const char *text, size_t length)
{
    char *to = take(request, length + 1);
    memcpy(to, text, length);
    to[length] = '\0';
    return to;
}

/* Sorted by name. */
static void add_field(struct request *request, const char *name, size_t name_length, const char *value, size_t value_length)
{
    struct field *field = take(request, sizeof *field), **link = &request->fields;
    field->name = copy(request, name, name_length);
    field->value = copy(request, value, value_length);
    while (*link != NULL && strcmp((*link)->name, field->name) < 0)
        link = &(*link)->next;
    field->next = *link;
    *link = field;
}

static void parse_parameters(struct request *request, const char *at, const char *end)
{
    while (at < end) {
        size_t length = 0, name = 0;
        while (at + length < end && at[length] != '&')
            length++;
        while (name < length && at[name] != '=')
            name++;
        size_t skip = name < length ? name + 1 : name;
        add_field(request, at, name, at + skip, length - skip);
        at += length + (at + length < end);
    }
}

/* Lines of a request up to the empty one; 0: malformed. */
static int parse_request(struct request *request, const char *text, size_t length)
{
    const char *end = text + length, *line_end = memmem(text, length, "\r\n", 2);
    const char *space = memchr(text, ' ', length), *second = space == NULL ? NULL : memchr(space + 1, ' ', (size_t)(end - space - 1));
    if (line_end == NULL || second == NULL || second > line_end)
        return 0;
    const char *question = memchr(space, '?', (size_t)(second - space));
    request->method = copy(request, text, (size_t)(space - text));
    request->path = copy(request, space + 1, (size_t)((question != NULL ? question : second) - space - 1));
    if (question != NULL)
        parse_parameters(request, question + 1, second);
    for (const char *at = line_end + 2; at < end; at = line_end + 2) {
        line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
        const char *colon = line_end == NULL ? NULL : memchr(at, ':', (size_t)(line_end - at));
        if (line_end == at)
            return 1;
        if (colon == NULL)
            return 0;
        const char *value = colon + 1;
        while (value < line_end && *value == ' ')
            value++;
        add_field(request, at, (size_t)(colon - at), value, (size_t)(line_end - value));
    }
    return 1;
}

static void request_free(struct request *request)
{
    for (struct field *field = request->fields, *next; field != NULL; field = next) {
        next = field->next;
        free(field->name);
        free(field->value);
        free(field);
    }
    free(request->method);
    free(request->path);
}

static void send_all(int socket, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(socket, data, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (sent > 0) {
            data += sent;
            length -= (size_t)sent;
        }
    }
}

static void answer(int socket, struct request *request)
{
    char *body = NULL;
    size_t length = 0;
    for (const struct field *field = request->fields; field != NULL; field = field->next) {
        if (request->scope != NULL) {
            const char *row = or_die(neb_scope_printf(request->scope, "<tr><td>%s<td>%s\n", field->name, field->value));
            body = or_die(neb_scope_append(request->scope, body, row, strlen(row)));
            length += strlen(row);
        } else {
            char *row;
            if (asprintf(&row, "<tr><td>%s<td>%s\n", field->name, field->value) < 0)
                exit(1);
            size_t row_length = strlen(row);
            body = or_die(realloc(body, length + row_length));
            memcpy(body + length, row, row_length);
            length += row_length;
            free(row);
        }
    }
    char head[128];
    size_t head_length = (size_t)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);
    char *whole = take(request, head_length + length);
    memcpy(whole, head, head_length);
    memcpy(whole + head_length, body, length);
    send_all(socket, whole, head_length + length);
    if (request->scope == NULL) {
        free(body);
        free(whole);
    }
}

static void no_delay(int socket)
{
    int one = 1;
    (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* Each whole request in the buffer. */
static void serve(struct connection *connection, int use_neb)
{
    char *at = connection->input, *end = connection->input + connection->length;
    for (char *stop; (stop = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)) != NULL; at = stop + 4) {
        neb_scope *scope = use_neb ? or_die(neb_scope_enter("request")) : NULL;
        struct request request = {scope, NULL, NULL, NULL};
        if (parse_request(&request, at, (size_t)(stop + 4 - at)))
            answer(connection->socket, &request);
        else
            send_all(connection->socket, "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", 40);
        if (use_neb)
            neb_scope_leave(scope);
        else
            request_free(&request);
    }
    connection->length = (size_t)(end - at);
    memmove(connection->input, at, connection->length);
}

struct server {
    int listener, use_neb;
};

static void *server_run(void *argument)
{
    const struct server *server = argument;
    static struct connection connections[CONNECTIONS];
    int poll = epoll_create1(EPOLL_CLOEXEC), open_count = 0;
    for (; open_count < CONNECTIONS; open_count++) {
        struct connection *connection = &connections[open_count];
        connection->socket = accept(server->listener, NULL, NULL);
        connection->length = 0;
        no_delay(connection->socket);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        epoll_ctl(poll, EPOLL_CTL_ADD, connection->socket, &event);
    }
    while (open_count > 0) {
        struct epoll_event events[CONNECTIONS];
        int count = epoll_wait(poll, events, CONNECTIONS, -1);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            ssize_t got = recv(connection->socket, connection->input + connection->length, INPUT - connection->length, 0);
            if (got <= 0) {
                close(connection->socket);
                open_count--;
                continue;
            }
            connection->length += (size_t)got;
            serve(connection, server->use_neb);
        }
    }
    close(poll);
    return NULL;
}

static const char request_text[] =
    "GET /search?q=memory&page=3&sort=name&filter=large&lang=en HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n"
    "User-Agent: example\r\nAccept-Language: en, de\r\nCookie: id=4711; theme=dark\r\nCache-Control: no-cache\r\n"
    "X-Request: a header of some length, so that the strings are not all tiny ones\r\n\r\n";

/* Sends requests a few at a time and sums up what comes back. */
static uint64_t client_run(int socket)
{
    enum { AHEAD = 16 };
    static __thread char all[AHEAD * sizeof request_text], back[65536];
    static const char last_row[] = "<tr><td>sort<td>name\n"; /* of each answer */
    uint64_t sum = 0;
    size_t matched = 0;
    for (size_t i = 0; i < AHEAD; i++)
        memcpy(all + i * (sizeof request_text - 1), request_text, sizeof request_text - 1);
    for (int sent = 0; sent < REQUESTS; sent += AHEAD) {
        send_all(socket, all, AHEAD * (sizeof request_text - 1));
        for (int ends = 0; ends < AHEAD;) {
            ssize_t got = recv(socket, back, sizeof back, 0);
            if (got <= 0)
                return 0;
            for (ssize_t k = 0; k < got; k++) {
                sum += (unsigned char)back[k];
                matched = back[k] == last_row[matched] ? matched + 1 : back[k] == last_row[0];
                if (last_row[matched] == '\0') {
                    matched = 0;
                    ends++;
                }
            }
        }
    }
    return sum;
}

static void *client_thread(void *argument)
{
    int *socket_of = argument;
    uint64_t *sum = or_die(malloc(sizeof *sum));
    *sum = client_run(*socket_of);
    close(*socket_of);
    return sum;
}

static uint64_t serve_all(int use_neb)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct server server = {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), use_neb};
    if (bind(server.listener, (struct sockaddr *)&address, length) != 0 || listen(server.listener, CONNECTIONS) != 0 ||
        getsockname(server.listener, (struct sockaddr *)&address, &length) != 0) {
        perror("loopback");
        exit(77);
    }
    pthread_t thread, clients[CONNECTIONS];
    int sockets[CONNECTIONS];
    pthread_create(&thread, NULL, server_run, &server);
    for (int i = 0; i < CONNECTIONS; i++) {
        sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(sockets[i], (struct sockaddr *)&address, sizeof address) != 0)
            exit(1);
        no_delay(sockets[i]);
        pthread_create(&clients[i], NULL, client_thread, &sockets[i]);
    }
    uint64_t sum = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        void *part;
        pthread_join(clients[i], &part);
        sum += *(uint64_t *)part;
        free(part);
    }
    pthread_join(thread, NULL);
    close(server.listener);
    return sum;
}

int main(void)
{
    return versus("http", "scope", serve_all);
}
