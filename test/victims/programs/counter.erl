%% Counts in a process that another one wakes.
-module(counter).
-export([main/0]).

main() ->
    Data = maps:from_list([{I, integer_to_list(I * 111)} || I <- lists:seq(1, 20000)]),
    Digest = erlang:phash2(Data),
    Self = self(),
    spawn(fun() -> tick(Self, 1) end),
    count(Digest).

tick(To, N) -> timer:sleep(50), To ! N, tick(To, N + 1).

count(Digest) -> receive N -> io:format("count ~p ~p~n", [N, Digest]) end, count(Digest).
