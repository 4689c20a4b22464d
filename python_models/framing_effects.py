def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "framing",
        dbt.config.meta_get("study"),
        units=dbt.ref("framing_units"),
        scores=dbt.ref("framing_scores"),
        gates=dbt.ref("framing_gates"),
        session=session,
    )
