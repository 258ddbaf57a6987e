# fish completion for loopctl, which knows its own options: see "loopctl completion --help".

function __loopctl_candidates
    set -l typed (commandline -ct)
    set -l words (commandline -opc)
    set -l program $words[1]
    set -e words[1]
    for line in (command -q $program; and $program completion candidates -- $words "$typed" 2> /dev/null)
        set -l before (string replace -r '[^=]*$' '' -- "$typed")
        set -l begun (string replace -r '^.*=' '' -- "$typed")
        switch (string split -f 1 \t -- $line)
            case '*<file>'
                string replace -r '^' -- "$before" (__fish_complete_path "$begun")
            case '*<directory>'
                string replace -r '^' -- "$before" (__fish_complete_directories "$begun" '')
            case '*'
                echo $line
        end
    end
end

complete -c loopctl -f -k -a '(__loopctl_candidates)'
